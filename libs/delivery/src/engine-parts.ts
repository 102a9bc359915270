import { Backlog } from './backlog.ts';
import { Burials } from './burials.ts';
import { Consumers } from './consumers.ts';
import { Dispatch } from './dispatch.ts';
import type { OnEnded } from './entry.ts';
import { Leases } from './leases.ts';
import { Offers } from './offers.ts';
import { Parking } from './parking.ts';
import { Partitions } from './partitions.ts';
import { RetryPace } from './retry-pace.ts';
import { Settling } from './settling.ts';
import type { SubscriptionSpec } from './subscription.ts';

export interface EngineOptions {
  readonly spec: SubscriptionSpec;
  /** Ownership epoch; becomes part of every delivery id. */
  readonly epoch: number;
  /** Milliseconds; wall clock, since expiry is absolute. */
  readonly now: () => number;
  /** 0 to 1. */
  readonly random: () => number;
  /** Asked at each delivery, on the concrete topic; undefined: cannot be told now, so hold. */
  readonly mayReceive: (topic: string) => boolean | undefined;
  /** Matched events held in memory, ready or in flight, before reading must pause. */
  readonly heldMax: number;
  readonly heldBytesMax: number;
  /** Most keys of which events wait in the log, so that others can go on; 0: none. */
  readonly parkedKeysMax: number;
  /** Bytes of a partition's cursor, as it is packed, from which on reading pauses. */
  readonly cursorBytesMax: number;
  /** With how many events retries begin after an outage of the consumers: see `RetryPace`. */
  readonly retryWindow: number;
  /** Hears of events that end without a consumer's word and without a dead letter. */
  readonly onEnded?: OnEnded;
}

/** What an engine is made of; each part says what it is for. */
export type EngineParts = ReturnType<typeof engineParts>;

export function engineParts(options: EngineOptions) {
  const { spec, epoch, now, random, mayReceive } = options;
  const { parkedKeysMax: keysMax, heldMax, heldBytesMax, onEnded = () => undefined } = options;
  const { inFlightMax, ordered } = spec;
  const partitions = new Partitions(options.cursorBytesMax);
  const leases = new Leases(epoch, spec.ackTimeoutMs);
  const pace = new RetryPace(options.retryWindow, inFlightMax);
  const consumers = new Consumers(inFlightMax, pace);
  const backlog = new Backlog({ ordered, leases, consumers, eased: (key) => parking.eased(key) });
  const parking = new Parking({ keysMax, heldMax, heldBytesMax, backlog });
  const burials = new Burials();
  const settling = new Settling({ spec, random, backlog, leases, burials, pace, onEnded });
  const offers = new Offers({ now, backlog, settling, parking, onEnded });
  const asked = { inFlightMax, mayReceive, onEnded };
  const dispatch = new Dispatch({ ...asked, backlog, consumers, leases, settling });
  const shared = { partitions, leases, pace, backlog, parking, consumers, burials };
  return { ...shared, settling, offers, dispatch };
}
