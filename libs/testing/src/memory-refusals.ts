/** What the memory mesh refuses with: code, reason and field are those of the mesh in the same case. */
import { isDeepStrictEqual } from 'node:util';
import type { PublishItem } from '@eventmesh/adapter-api';
import {
  SUBSCRIPTION_DEFAULTS,
  type Subscription,
  type SubscriptionChange,
  type SubscriptionSpec,
} from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';

export const unauthenticated = (authorization: string | undefined): MeshError =>
  authorization === undefined
    ? new MeshError('Unauthenticated', 'authorization: is missing', {
        field: 'authorization',
        reason: 'CREDENTIAL_MISSING',
      })
    : new MeshError('Unauthenticated', 'the credential is wrong, expired or unknown', {
        field: 'authorization',
      });

export const denied = (action: string, resource: string): MeshError =>
  new MeshError('PermissionDenied', `no grant to ${action} "${resource}"`, {
    reason: 'NO_GRANT',
    facts: { action, resource },
  });

/**
 * `paused` is a state and no part of a spec, and `start` is over.
 *
 * @throws MeshError AlreadyExists when a subscription is another one than is wanted.
 */
export function checkSame(
  there: SubscriptionSpec,
  { paused: _, start: __, ...wanted }: SubscriptionSpec,
): void {
  if (isDeepStrictEqual({ ...there, ...wanted }, there)) return;
  throw new MeshError('AlreadyExists', `subscription "${there.name}" exists with another spec`, {
    field: 'name',
    reason: 'SUBSCRIPTION_DIFFERS',
  });
}

const WITHOUT_EFFECT = [
  'start',
  'ordered',
  'deadLetter',
  'deadLetterExpired',
  'ackTimeoutMs',
  'inFlightMax',
  'retry',
] as const;

/** @throws MeshError InvalidArgument for what the direct class cannot do. */
export function checkDirect(spec: SubscriptionSpec): void {
  if (spec.deliveryClass !== 'direct') return;
  for (const field of WITHOUT_EFFECT) {
    if (isDeepStrictEqual(spec[field], SUBSCRIPTION_DEFAULTS[field])) continue;
    throw invalid(field, 'has no effect on the direct class; leave it out', {
      reason: 'DIRECT_CLASS',
    });
  }
}

const FIXED = ['deliveryClass', 'mode', 'ephemeral'] as const;

/** @throws MeshError InvalidArgument for what a subscription is for good. */
export function checkChangeable(there: Subscription, change: SubscriptionChange): void {
  if (there.broadcastOf !== '') {
    throw invalid('name', `is a part of "${there.broadcastOf}"; update that one`);
  }
  for (const field of FIXED) {
    if (change[field] === undefined || change[field] === there[field]) continue;
    throw invalid(field, `is "${there[field]}" for good; make a subscription of another name`);
  }
}

/** @throws MeshError InvalidArgument. */
export function checkConsumer(name: string | undefined): void {
  if (name === undefined || /^[^\p{Cc}]{1,256}$/u.test(name)) return;
  throw invalid('consumer', 'is empty, too long, or has control characters; take another name', {
    limit: '1 to 256 characters',
  });
}

/** It names a part of a broadcast. @throws MeshError InvalidArgument. */
export function checkPartName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(name)) return;
  throw invalid('consumer', `"${name}" is not 1 to 128 letters, digits, -, _ and .`);
}

/** @throws MeshError InvalidArgument for what cannot be asked. */
export function checkRequest(item: PublishItem, timeoutMs: number, toInbox: boolean): void {
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 300_000) {
    throw invalid('timeoutMs', `${timeoutMs} is out of bounds`, { limit: '1 to 300000 ms' });
  }
  if (toInbox) throw invalid('topic', 'is the address of an inbox, which answers nothing');
  if ((item.deliverAtMs ?? 0) === 0 && (item.deliverAfterMs ?? 0) === 0) return;
  throw invalid('deliverAtMs', 'a request cannot be scheduled; its deadline runs from now');
}

/** Why a batch cannot be atomic; undefined when it can. */
export function atomicProblem(places: readonly string[]): MeshError | undefined {
  const limit = '1 partition, 1000 events';
  const { size } = new Set(places);
  if (size > 1) {
    const text = `the events fall into ${size} partitions; give them one topic and partitionkey`;
    return invalid('atomic', text, { reason: 'ATOMIC_ACROSS_PARTITIONS', limit });
  }
  if (places.length <= 1000) return undefined;
  const text = `there are ${places.length} events`;
  return invalid('atomic', text, { reason: 'ATOMIC_TOO_LARGE', limit });
}

export const unknownSubscription = (name: string): MeshError =>
  new MeshError('NotFound', `there is no subscription "${name}"`, { field: 'name' });

export const changed = (name: string): MeshError =>
  new MeshError('Aborted', `"${name}" was changed; reconnect`, { reason: 'SUBSCRIPTION_CHANGED' });

export const moved = (name: string): MeshError =>
  new MeshError('Aborted', `"${name}" was moved to another start; reconnect`, { reason: 'SEEK' });

export const principalEnded = (): MeshError =>
  new MeshError('Unauthenticated', 'the principal is no longer known; authenticate again', {
    reason: 'PRINCIPAL_ENDED',
  });

export const exclusive = (name: string): MeshError =>
  new MeshError('FailedPrecondition', `"${name}" has its one consumer`, {
    field: 'subscription',
    reason: 'EXCLUSIVE',
  });

export const deleted = (name: string): MeshError =>
  new MeshError('NotFound', `subscription "${name}" was deleted`, { field: 'subscription' });

export const changedSince = (name: string): MeshError =>
  new MeshError(
    'Aborted',
    `revision: "${name}" was changed since; read it again and give that one`,
    {
      field: 'revision',
    },
  );

export const badPageToken = (): MeshError =>
  invalid('token', 'is not one that this list gave; begin again without it', {
    reason: 'PAGE_TOKEN',
  });
