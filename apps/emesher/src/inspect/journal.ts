import type { EventView } from '@eventmesh/event';
import type { TraceStep } from '@eventmesh/adapter-api';
import { nowUs } from '../clock.ts';

interface Known {
  readonly tenant: string;
  readonly id: string;
  readonly source: string;
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
}

/** Something that happened to several positions of a partition at one time. */
interface Line {
  readonly timeUs: number;
  readonly tenant: string;
  readonly partition: number;
  /** Rising. */
  readonly positions: readonly number[];
  readonly step: string;
  readonly subject: string;
  readonly detail: string;
}

/** Batches remembered; each speaks of up to a few hundred positions. */
const LINES_MAX = 20_000;

/**
 * What happened lately, for `mesh trace`: one line a batch and a bounded index from event id to
 * position, so that the hot path pays for batches and not for events.
 */
export class Journal {
  readonly #site: string;
  readonly #eventsMax: number;
  readonly #byId = new Map<string, Known[]>();
  readonly #order: string[] = [];
  #oldest = 0;
  readonly #lines: Line[] = [];
  #write = 0;

  constructor(site: string, eventsMax: number) {
    this.#site = site;
    this.#eventsMax = eventsMax;
  }

  /** An event lies in the store at a position. */
  stored(
    tenant: string,
    partition: number,
    position: number,
    event: EventView,
    topic: string,
  ): void {
    if (this.#eventsMax === 0) return;
    const { id, source } = event;
    const key = `${tenant}\0${id}`;
    const known: Known = { tenant, id, source, topic, partition, position };
    const there = this.#byId.get(key);
    if (there === undefined) this.#byId.set(key, [known]);
    else if (there.length < 16) there.push(known);
    this.#order.push(key);
    if (this.#order.length - this.#oldest > this.#eventsMax) {
      const gone = this.#order[this.#oldest++];
      if (gone !== undefined) this.#byId.delete(gone);
      if (this.#oldest > this.#eventsMax) {
        this.#order.splice(0, this.#oldest);
        this.#oldest = 0;
      }
    }
  }

  note(
    tenant: string,
    partition: number,
    positions: readonly number[],
    step: string,
    subject: string,
    detail = '',
  ): void {
    const line = { timeUs: nowUs(), tenant, partition, positions, step, subject, detail };
    this.#lines[this.#write % LINES_MAX] = line;
    this.#write++;
  }

  /** Where events with this id lie here. */
  find(tenant: string, id: string, source?: string): readonly Known[] {
    const known = this.#byId.get(`${tenant}\0${id}`) ?? [];
    return source === undefined ? known : known.filter((each) => each.source === source);
  }

  /** The remembered steps of a position. */
  steps(known: Known): TraceStep[] {
    const { tenant, partition, position, source, topic } = known;
    return this.#lines
      .filter((line) => line.tenant === tenant && line.partition === partition)
      .filter((line) => line.positions.includes(position))
      .map(({ timeUs, step, subject, detail }) => ({
        site: this.#site,
        timeUs,
        step,
        subject,
        detail,
        partition,
        position,
        source,
        topic,
      }));
  }
}
