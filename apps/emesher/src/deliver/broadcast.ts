import { randomUUID } from 'node:crypto';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import { makeSubscription, type MakeDeps } from './make-subscription.ts';

export interface BroadcastDeps extends MakeDeps {
  /** Most consumers that a broadcast subscription knows, those that are away among them. */
  readonly broadcastConsumersMax: number;
}

const CONSUMER = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/**
 * The part of a broadcast subscription that one consumer has: a subscription of its own, named
 * `<subscription>:<consumer>`, found or made. With the consumer's name its progress lasts; without
 * one it vanishes with the consumer.
 *
 * @throws InvalidArgument (consumer); ResourceExhausted (BROADCAST_CONSUMERS).
 */
export async function broadcastPart(
  deps: BroadcastDeps,
  whole: Subscription,
  consumer: string | undefined,
  nowMs: number,
): Promise<Subscription> {
  if (consumer !== undefined && !CONSUMER.test(consumer)) {
    throw invalid('consumer', `"${consumer}" is not 1 to 128 letters, digits, -, _ and .`);
  }
  const { tenant } = whole;
  const { broadcastConsumersMax } = deps;
  const name = `${whole.name}:${consumer ?? randomUUID()}`;
  const there = deps.directory.subscriptions.get(`${tenant}/${name}`);
  if (there !== undefined) return there;
  if (deps.directory.partsOf(whole).length >= broadcastConsumersMax) {
    throw new MeshError(
      'ResourceExhausted',
      `"${whole.name}" has ${broadcastConsumersMax} consumers; delete those that are gone ` +
        `for good, named "${whole.name}:<consumer>"`,
      {
        field: 'consumer',
        limit: `${broadcastConsumersMax} consumers`,
        reason: 'BROADCAST_CONSUMERS',
      },
    );
  }
  const part: Subscription = {
    ...whole,
    name,
    mode: 'shared',
    ephemeral: whole.ephemeral || consumer === undefined,
    createdMs: nowMs,
    revision: 0,
    broadcastOf: whole.name,
  };
  return (await makeSubscription(deps, part)).subscription;
}

/** What a part is when the whole has become this. */
export const partAs = (part: Subscription, whole: Subscription): Subscription => ({
  ...whole,
  name: part.name,
  mode: part.mode,
  start: part.start,
  ephemeral: part.ephemeral,
  createdMs: part.createdMs,
  revision: part.revision,
  broadcastOf: part.broadcastOf,
});
