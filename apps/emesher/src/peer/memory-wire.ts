import type { MessageInitShape } from '@bufbuild/protobuf';
import { invalid } from '@eventmesh/errors';
import type {
  EventPlace as WirePlace,
  EventStanding,
  EventStandingSchema,
  LocateEventResponse,
  LocateEventResponseSchema,
  RecallEventResponse,
  RecallEventResponseSchema,
} from '@eventmesh/proto-gen/peer';
import type { EventPlace } from '../inspect/journal.ts';
import type { Located, Recalled, Standing } from '../inspect/memory.ts';
import type { HeldEvent, Place } from '../inspect/why/facts.ts';

export const placeToWire = ({ partition, position }: EventPlace) => ({
  partition,
  position: BigInt(position),
});

export function placeFromWire(place: WirePlace | undefined): EventPlace {
  if (place === undefined) throw invalid('place', 'is missing');
  return { partition: place.partition, position: Number(place.position) };
}

export function recalledToWire({
  places,
  refusals,
  more,
}: Recalled): MessageInitShape<typeof RecallEventResponseSchema> {
  return {
    places: places.map(placeToWire),
    refusals: refusals.map((refusal) => ({
      ...refusal,
      eventId: refusal.id,
      timeUs: BigInt(refusal.timeUs),
      policyRevision: BigInt(refusal.policyRevision),
      grantsRevision: BigInt(refusal.grantsRevision),
    })),
    more,
  };
}

export function recalledFromWire(
  tenant: string,
  { places, refusals, more }: RecallEventResponse,
): Recalled {
  return {
    places: places.map(placeFromWire),
    refusals: refusals.map((refusal) => ({
      tenant,
      principal: refusal.principal,
      id: refusal.eventId,
      source: refusal.source,
      topic: refusal.topic,
      code: refusal.code,
      reason: refusal.reason,
      message: refusal.message,
      timeUs: Number(refusal.timeUs),
      policyRevision: Number(refusal.policyRevision),
      grantsRevision: Number(refusal.grantsRevision),
    })),
    more,
  };
}

export function locatedToWire({
  steps,
  standings,
  links,
  more,
}: Located): MessageInitShape<typeof LocateEventResponseSchema> {
  return {
    steps: steps.map(({ timeUs, step, subject, detail, ...place }) => ({
      place: placeToWire(place),
      timeUs: BigInt(timeUs),
      step,
      subject,
      detail,
    })),
    standings: standings.map(({ subscription, epoch, place, ...at }) => ({
      place: placeToWire(at),
      subscription,
      epoch: BigInt(epoch),
      standing: standingToWire(place),
    })),
    links: links.map(({ to, up, held, ...place }) => ({ place: placeToWire(place), to, up, held })),
    more,
  };
}

export function locatedFromWire({ steps, standings, links, more }: LocateEventResponse): Located {
  return {
    steps: steps.map(({ place, timeUs, step, subject, detail }) => ({
      ...placeFromWire(place),
      timeUs: Number(timeUs),
      step,
      subject,
      detail,
    })),
    standings: standings.flatMap((each): Standing[] => {
      const place = standingFromWire(each.standing);
      if (place === undefined) return [];
      const { subscription, epoch } = each;
      return [{ ...placeFromWire(each.place), subscription, epoch: Number(epoch), place }];
    }),
    links: links.map(({ place, to, up, held }) => ({ ...placeFromWire(place), to, up, held })),
    more,
  };
}

type StandingInit = NonNullable<MessageInitShape<typeof EventStandingSchema>['standing']>;

function standingToWire(place: Place): StandingInit {
  switch (place.kind) {
    case 'held': {
      const { kind: _, dueMs, ...held } = place;
      return { case: 'held', value: { ...held, dueMs: BigInt(dueMs) } };
    }
    case 'unread': {
      const { lag, consumers = 0, stopped = '' } = place;
      return { case: 'unread', value: { lag: BigInt(lag), consumers, stopped } };
    }
    case 'parked':
      return { case: 'parked', value: { ...place.stuck, heldMs: BigInt(place.stuck.heldMs) } };
    case 'before-start':
      return { case: 'beforeStart', value: place.start };
    case 'settled':
      return { case: 'settled', value: {} };
  }
}

/** Undefined for what a newer emesher has to tell. */
function standingFromWire(standing: EventStanding['standing']): Place | undefined {
  switch (standing.case) {
    case 'held': {
      const { state, attempts, failures, reason, consumer, dueMs, ahead } = standing.value;
      const known = heldState(state);
      if (known === undefined) return undefined;
      const held = { attempts, failures, reason, consumer, dueMs: Number(dueMs), ahead };
      return { kind: 'held', state: known, ...held };
    }
    case 'unread': {
      const { lag, consumers, stopped } = standing.value;
      return { kind: 'unread', lag: Number(lag), consumers, stopped: stoppedOf(stopped) };
    }
    case 'parked': {
      const { topic, key, consumer, heldMs, waiting, failures, parked } = standing.value;
      const stuck = { topic, key, consumer, heldMs: Number(heldMs), waiting, failures, parked };
      return { kind: 'parked', stuck };
    }
    case 'beforeStart':
      return { kind: 'before-start', start: standing.value };
    case 'settled':
      return { kind: 'settled' };
    default:
      return undefined;
  }
}

const HELD_STATES = ['ready', 'out', 'later', 'dead'] as const;
const STOPPED = ['memory', 'keys', 'cursor'] as const;

const heldState = (text: string): HeldEvent['state'] | undefined =>
  HELD_STATES.find((state) => state === text);

const stoppedOf = (text: string) => STOPPED.find((why) => why === text);
