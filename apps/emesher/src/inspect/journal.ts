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

/** Steps remembered for each event that is: accepted, forwarded, delivered, settled, and room. */
const STEPS_PER_EVENT = 8;

/**
 * What happened lately, for `mesh trace`. The hot path pays a few array stores for an event and one
 * line for a batch; looking something up is a scan, since people do it and programs do not.
 */
export class Journal {
  readonly #site: string;
  readonly #eventsMax: number;
  /** The last events stored, as a ring. */
  readonly #events: Known[] = [];
  #nextEvent = 0;
  /** What happened to them, oldest first from `#firstLine`. */
  #lines: Line[] = [];
  #firstLine = 0;
  #positions = 0;
  readonly #receipts = new Map<string, number>();

  /** @param eventsMax Events remembered; 0 remembers nothing. */
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
    this.#receipts.set(tenant, (this.#receipts.get(tenant) ?? 0) + 1);
    if (this.#eventsMax === 0) return;
    const { id, source } = event;
    // The strings only: the view would keep the whole event alive.
    this.#events[this.#nextEvent] = { tenant, id, source, topic, partition, position };
    this.#nextEvent = (this.#nextEvent + 1) % this.#eventsMax;
  }

  note(
    tenant: string,
    partition: number,
    positions: readonly number[],
    step: string,
    subject: string,
    detail = '',
  ): void {
    if (this.#eventsMax === 0) return;
    this.#lines.push({ timeUs: nowUs(), tenant, partition, positions, step, subject, detail });
    this.#positions += positions.length;
    while (this.#positions > this.#eventsMax * STEPS_PER_EVENT) {
      this.#positions -= this.#lines[this.#firstLine++]?.positions.length ?? 0;
    }
    if (this.#firstLine * 2 > this.#lines.length) {
      this.#lines = this.#lines.slice(this.#firstLine);
      this.#firstLine = 0;
    }
  }

  /** Events remembered. */
  get size(): number {
    return this.#events.length;
  }

  /** Records of a tenant's log that this emesher has a receipt for, since it started. */
  receipts(tenant: string): number {
    return this.#receipts.get(tenant) ?? 0;
  }

  /** Where events with this id lie here. */
  find(tenant: string, id: string, source?: string): readonly Known[] {
    return this.#events.filter(
      (known) =>
        known.id === id &&
        known.tenant === tenant &&
        (source === undefined || known.source === source),
    );
  }

  /** The remembered steps of a position. */
  steps(known: Known): TraceStep[] {
    const { tenant, partition, position, source, topic } = known;
    return this.#lines
      .slice(this.#firstLine)
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
