import type { DeadLetter } from '@eventmesh/adapter-api';
import {
  EventView,
  decodeRecord,
  encodeAttribute,
  encodeRecord,
  type AttributeValue,
  type RecordView,
} from '@eventmesh/event';

/** What is attached to an event that was given up, as extension attributes of these names. */
const NAMES = {
  cause: 'meshdeadcause',
  attempts: 'meshdeadattempts',
  subscription: 'meshdeadsubscription',
  created: 'meshdeadsubscribed',
  place: 'meshdeadposition',
  policy: 'meshdeadpolicy',
  time: 'meshdeadtime',
  redrives: 'meshdeadredrives',
  bytes: 'meshdeadbytes',
} as const;

/** On an event that was given back: how often that was done. */
export const REDRIVES = 'meshredrives';

/** Most of a cause that is kept, in UTF-16 units. */
const CAUSE_LENGTH_MAX = 256;

/** An event that is given up, and why. */
export interface Dead {
  /** Empty when none was to have it yet, as for a scheduled event that is too late. */
  readonly subscription: string;
  /** When that was made, ms since the epoch: a deleted one and another of its name are two. */
  readonly subscriptionCreatedMs: number;
  readonly cause: string;
  readonly attempts: number;
  /** Where the event lies in the site's log. */
  readonly partition: number;
  readonly position: number;
  readonly record: RecordView;
  readonly policyRevision: number;
  readonly deadMs: number;
}

/** What a letter says by itself. */
export type Letter = Omit<DeadLetter, 'subscriptionGone'>;

/** A dead letter as it is stored. */
export interface StoredLetter {
  readonly letter: Letter;
  readonly record: RecordView;
  /** Bytes of the stored record. */
  readonly size: number;
}

const text = (value: string): AttributeValue => ({ kind: 'string', value });
const integer = (value: number): AttributeValue => ({ kind: 'integer', value });

/**
 * The record of a dead letter. Its event is the original one, byte for byte, with what is known of
 * its death appended as attributes: any CloudEvents reader sees both, and cutting the end off gives
 * the original back.
 */
export function encodeLetter(site: string, dead: Dead): Buffer {
  const { record } = dead;
  const { event, redrives } = original(record.event);
  const attributes: [string, AttributeValue][] = [
    [NAMES.bytes, integer(event.length)],
    [NAMES.cause, text(causeText(dead.cause))],
    [NAMES.attempts, integer(dead.attempts)],
    [NAMES.place, text(`${site}/${dead.partition}/${dead.position}`)],
    [NAMES.policy, text(String(dead.policyRevision))],
    [NAMES.time, timestamp(dead.deadMs)],
    [NAMES.redrives, integer(redrives)],
  ];
  const { subscription, subscriptionCreatedMs } = dead;
  if (subscription !== '') {
    attributes.push([NAMES.subscription, text(subscription)]);
    attributes.push([NAMES.created, timestamp(subscriptionCreatedMs)]);
  }
  const entries = attributes.map(([name, value]) => encodeAttribute(name, value));
  return encodeRecord({ ...record, destinations: [] }, Buffer.concat([event, ...entries]));
}

/** Reads a letter in place; its event shares memory with `bytes`. */
export function decodeLetter(id: number, bytes: Uint8Array): StoredLetter {
  const record = decodeRecord(bytes);
  const view = new EventView(record.event);
  const of = (name: string) => view.text(name) ?? '';
  const place = of(NAMES.place).split('/');
  const length = Number(view.text(NAMES.bytes) ?? record.event.length);
  const letter: Letter = {
    id,
    subscription: of(NAMES.subscription),
    subscriptionCreatedMs: msOf(view.attributes.get(NAMES.created)),
    topic: record.topic,
    eventId: view.id,
    source: view.source,
    type: view.type,
    cause: of(NAMES.cause),
    attempts: Number(of(NAMES.attempts)),
    deadMs: msOf(view.attributes.get(NAMES.time)),
    partition: Number(place.at(-2) ?? 0),
    position: Number(place.at(-1) ?? 0),
    policyRevision: Number(of(NAMES.policy)),
    redrives: Number(of(NAMES.redrives)),
    event: record.event.subarray(0, length),
  };
  return { letter, record, size: bytes.length };
}

/**
 * The record that gives a letter's event back to its subscription. An expiry that may have passed
 * is taken off, or the event would end before it is delivered.
 */
export function encodeRedriven({ letter, record }: StoredLetter): Buffer {
  const event = [letter.event, encodeAttribute(REDRIVES, integer(letter.redrives + 1))];
  const handling = { ...record.handling, onlySubscription: letter.subscription };
  return encodeRecord({ ...record, expiryMs: 0, handling }, Buffer.concat(event));
}

/** What died, as it was before: without what is known of its death. */
export const recordBefore = ({ letter, record }: StoredLetter): RecordView => ({
  ...record,
  event: record.event.subarray(0, letter.event.length),
});

/**
 * An event as its producer sent it, and how often it was redriven. Names that begin with `mesh`
 * are refused at ingress, so this attribute is ours and was appended last.
 */
function original(event: Buffer): { readonly event: Buffer; readonly redrives: number } {
  const value = new EventView(event).attributes.get(REDRIVES);
  if (value?.kind !== 'integer') return { event, redrives: 0 };
  const { length } = encodeAttribute(REDRIVES, value);
  return { event: event.subarray(0, event.length - length), redrives: value.value };
}

const timestamp = (ms: number): AttributeValue => ({
  kind: 'timestamp',
  seconds: Math.floor(ms / 1000),
  nanos: (ms % 1000) * 1e6,
});

const msOf = (time: AttributeValue | undefined): number =>
  time?.kind === 'timestamp' ? time.seconds * 1000 + Math.floor(time.nanos / 1e6) : 0;

// CloudEvents 1.0, String: no control characters, no noncharacters.
const FORBIDDEN = /[\p{Cc}\p{Noncharacter_Code_Point}]/gu;

/** A consumer's reason may be any text; as an attribute it must be one that CloudEvents allows. */
function causeText(cause: string): string {
  const kept = cause.slice(0, CAUSE_LENGTH_MAX).toWellFormed().replace(FORBIDDEN, ' ');
  return kept === '' ? 'rejected' : kept;
}
