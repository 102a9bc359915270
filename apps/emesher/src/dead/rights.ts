import { isLetterOf, type DeadLetter, type DeadLetterSelection } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import { Action } from '@eventmesh/proto-gen/acl';
import { mayManage } from '../deliver/subscription-admin.ts';
import { denied, type CallerSession } from '../session.ts';
import type { Letter } from './letter.ts';

/** Who administers subscriptions sees every letter of its tenant. */
const administers = (caller: CallerSession): boolean =>
  caller.grants.can(Action.ADMIN, 'subscriptions');

/**
 * Whether a letter is the caller's to see and to change. A letter shows an event, so the right to
 * receive its topic is asked for as at a delivery; and its subscription must be one that the caller
 * may manage, unless it is gone.
 */
export function mayHandle(
  caller: CallerSession,
  letter: Pick<DeadLetter, 'topic'>,
  subscription: Subscription | undefined,
): boolean {
  if (administers(caller)) return true;
  if (!caller.grants.canReceive(letter.topic)) return false;
  return subscription === undefined || mayManage(caller, subscription);
}

/**
 * Whether a caller may have a scheduled event published that died before it was. It is published in
 * the name of its publisher, so whoever only receives the topic may not.
 */
export const mayPublishAgain = (
  caller: CallerSession,
  { topic }: Pick<DeadLetter, 'topic'>,
): boolean => administers(caller) || caller.grants.canPublish(topic);

/** @throws PermissionDenied: the totals of a tenant are not for every consumer. */
export function checkStatus(caller: CallerSession): void {
  if (caller.grants.can(Action.INSPECT, 'dead-letters') || administers(caller)) return;
  throw denied('inspect', 'dead-letters');
}

/** Which letters a selection means, for a caller. */
export function chooser(
  caller: CallerSession,
  selection: DeadLetterSelection,
  find: (name: string) => Subscription | undefined,
): (letter: Letter) => boolean {
  const { subscription, cause, ids } = selection;
  const wanted = ids === undefined ? undefined : new Set(ids);
  return (letter) =>
    (subscription === undefined || isLetterOf(letter, subscription)) &&
    (cause === undefined || letter.cause === cause) &&
    (wanted === undefined || wanted.has(letter.id)) &&
    mayHandle(caller, letter, find(letter.subscription));
}
