import { randomUUID } from 'node:crypto';
import { subscriptionKey } from '@eventmesh/clients';
import { isPartOf, partAs, type BroadcastPart, type Subscription } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import { deletedError } from './hold.ts';
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
 * @throws InvalidArgument (consumer); ResourceExhausted (BROADCAST_CONSUMERS); NotFound when the whole
 * is deleted meanwhile, even when there is another one of its name by then.
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
  const there = deps.directory.subscriptions.get(subscriptionKey({ tenant, name }));
  if (there !== undefined) return ofThis(whole, there);
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
  const kept: BroadcastPart = {
    ...whole,
    name,
    ephemeral: whole.ephemeral || consumer === undefined,
    createdMs: nowMs,
    broadcastOf: whole.name,
    part: { wholeCreatedMs: whole.createdMs, paused: false, revision: 0 },
  };
  const { subscription } = await makeSubscription(deps, partAs(kept, whole));
  const now = deps.directory.subscriptions.get(subscriptionKey({ tenant, name: whole.name }));
  // It went while its part was made, and the part with it.
  if (now === undefined || !isPartOf(kept, now)) throw deletedError(whole.name);
  return ofThis(whole, subscription);
}

/** The part of another whole of that name has other progress, and other filters. */
function ofThis(whole: Subscription, part: Subscription): Subscription {
  if (part.part?.wholeCreatedMs === whole.createdMs) return part;
  throw deletedError(whole.name);
}
