import { createHash } from 'node:crypto';
import type { Principal } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { EventView, type Revisions } from '@eventmesh/event';

/** An event that was refused at the gate, and by which revisions. */
export interface Refusal extends Revisions {
  readonly tenant: string;
  readonly principal: string;
  readonly id: string;
  readonly source: string;
  readonly topic: string;
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  /** Microseconds since the epoch. */
  readonly timeUs: number;
}

/** A refusal with what it is found by: names are as long as their publishers like. */
interface Kept {
  readonly id: string;
  readonly source: string;
  readonly refusal: Refusal;
}

/** Longest text that is kept of what a caller has sent. */
const TEXT_LENGTH_MAX = 256;

/** The last events that were refused at the gate, for `mesh why`; a ring. */
export class Refusals {
  readonly #max: number;
  readonly #now: () => number;
  readonly #ring: Kept[] = [];
  #next = 0;

  /**
   * @param max Refusals remembered; 0 remembers nothing.
   * @param now Microseconds since the epoch.
   */
  constructor(max: number, now: () => number) {
    this.#max = max;
    this.#now = now;
  }

  note(
    { tenant, name }: Principal,
    topic: string,
    event: Uint8Array,
    error: MeshError,
    { policyRevision, grantsRevision }: Revisions,
  ): void {
    if (this.#max === 0) return;
    const { id, source } = namesOf(event);
    const refusal: Refusal = {
      tenant,
      principal: name,
      id: cut(id),
      source: cut(source),
      topic: cut(topic),
      code: error.code,
      reason: error.reason ?? '',
      message: cut(error.message),
      timeUs: this.#now(),
      policyRevision,
      grantsRevision,
    };
    this.#ring[this.#next] = { id: keyOf(id), source: keyOf(source), refusal };
    this.#next = (this.#next + 1) % this.#max;
  }

  get size(): number {
    return this.#ring.length;
  }

  /** Oldest first. */
  find(tenant: string, id: string, source?: string): readonly Refusal[] {
    const key = keyOf(id);
    const from = source === undefined ? undefined : keyOf(source);
    return this.#ring
      .filter((kept) => kept.id === key && kept.source === (from ?? kept.source))
      .map(({ refusal }) => refusal)
      .filter((refusal) => refusal.tenant === tenant)
      .sort((a, b) => a.timeUs - b.timeUs);
  }
}

/** What was refused need not be an event at all. */
function namesOf(event: Uint8Array): { id: string; source: string } {
  try {
    const { id, source } = new EventView(event);
    return { id, source };
  } catch (error) {
    if (MeshError.from(error).code !== 'InvalidArgument') throw error;
    return { id: '', source: '' };
  }
}

/** A short text itself, a digest of a long one. */
const keyOf = (text: string): string =>
  text.length <= TEXT_LENGTH_MAX
    ? text
    : `sha256 ${createHash('sha256').update(text).digest('hex')}`;

const cut = (text: string): string => text.slice(0, TEXT_LENGTH_MAX);
