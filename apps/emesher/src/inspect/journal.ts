import type { EventView } from '@eventmesh/event';
import { nowUs } from '../clock.ts';
import { Fingerprint } from './fingerprint.ts';
import { Labels, type Label } from './labels.ts';
import { Lanes } from './lanes.ts';
import { Ring } from './ring.ts';

/** In the log of events of a tenant. */
export interface EventPlace {
  readonly partition: number;
  readonly position: number;
}

/** Something that happened to the event at a place. */
export interface EventStep extends EventPlace, Label {
  readonly timeUs: number;
}

/** Steps remembered for each event that is: accepted, forwarded, delivered, settled, and room. */
const STEPS_PER_EVENT = 8;

/**
 * What happened lately, for `mesh trace` and `mesh why`. Events are kept as fingerprints of id and
 * source with where they lie: who looks one up reads the record and compares. The hot path pays a
 * few array stores for an event, and as much for each run of positions of a batch; looking something
 * up is a scan, since people do it and programs do not.
 */
export class Journal {
  readonly #eventsMax: number;
  readonly #ids = new Fingerprint();
  readonly #sources = new Fingerprint();
  readonly #lanes = new Lanes();
  readonly #labels = new Labels();
  /** The last events stored. */
  readonly #events: Ring<ReturnType<typeof eventColumns>>;
  /** What happened to events: one row for each run of positions of a batch. */
  readonly #marks: Ring<ReturnType<typeof markColumns>>;
  #positions = 0;
  readonly #receipts = new Map<string, number>();

  /** @param eventsMax Events remembered; 0 remembers nothing. */
  constructor(eventsMax: number) {
    this.#eventsMax = eventsMax;
    this.#events = new Ring(eventsMax, eventColumns);
    this.#marks = new Ring(eventsMax * STEPS_PER_EVENT, markColumns);
  }

  /** An event lies in the store at a position. */
  stored(
    tenant: string,
    partition: number,
    position: number,
    { id, source }: Pick<EventView, 'id' | 'source'>,
  ): void {
    this.#receipts.set(tenant, (this.#receipts.get(tenant) ?? 0) + 1);
    if (this.#eventsMax === 0) return;
    this.#ids.take(id);
    this.#sources.take(source);
    const slot = this.#events.push();
    const { idLow, idHigh, from, lane, at } = this.#events.columns;
    idLow[slot] = this.#ids.low;
    idHigh[slot] = this.#ids.high;
    from[slot] = this.#sources.low;
    lane[slot] = this.#lanes.of(tenant, partition);
    at[slot] = position;
  }

  note(
    tenant: string,
    partition: number,
    positions: readonly number[],
    step: string,
    subject: string,
    detail = '',
  ): void {
    if (this.#eventsMax === 0 || positions.length === 0) return;
    const lane = this.#lanes.of(tenant, partition);
    const label = this.#labels.use(step, subject, detail);
    const timeUs = nowUs();
    let first = 0;
    for (let next = 1; next <= positions.length; next++) {
      const from = positions[first] ?? 0;
      if (positions[next] === from + next - first) continue;
      this.#mark(timeUs, lane, from, next - first, label);
      first = next;
    }
    // Each of its marks has a use of its own by now.
    this.#labels.release(label);
    while (this.#positions > this.#eventsMax * STEPS_PER_EVENT) this.#forget();
  }

  /** Events remembered. */
  get size(): number {
    return this.#events.count;
  }

  /** Different things that happened to them. */
  get labels(): number {
    return this.#labels.size;
  }

  /** Records of a tenant's log that this emesher has a receipt for, since it started. */
  receipts(tenant: string): number {
    return this.#receipts.get(tenant) ?? 0;
  }

  /** Where events that may have this id lie, oldest first. */
  find(tenant: string, id: string, source?: string): readonly EventPlace[] {
    this.#ids.take(id);
    const { low, high } = this.#ids;
    if (source !== undefined) this.#sources.take(source);
    const { idLow, idHigh, from, lane, at } = this.#events.columns;
    const found: EventPlace[] = [];
    for (let row = 0; row < this.#events.count; row++) {
      const slot = this.#events.slot(row);
      if (idLow[slot] !== low || idHigh[slot] !== high) continue;
      if (source !== undefined && from[slot] !== this.#sources.low) continue;
      const own = this.#lanes.at(lane[slot] ?? 0);
      if (own?.tenant !== tenant) continue;
      found.push({ partition: own.partition, position: at[slot] ?? 0 });
    }
    return found;
  }

  /** The remembered steps of places, oldest first. */
  steps(tenant: string, places: readonly EventPlace[]): EventStep[] {
    const wanted = places.map((place) => ({
      ...place,
      lane: this.#lanes.find(tenant, place.partition),
    }));
    const { timeUs, lane, from, count, label } = this.#marks.columns;
    const found: EventStep[] = [];
    for (let row = 0; row < this.#marks.count; row++) {
      const slot = this.#marks.slot(row);
      const [first, events] = [from[slot] ?? 0, count[slot] ?? 0];
      for (const { partition, position, lane: own } of wanted) {
        if (lane[slot] !== own || position < first || position >= first + events) continue;
        const said = this.#labels.at(label[slot] ?? 0);
        if (said === undefined) continue;
        const { step, subject, detail } = said;
        found.push({ partition, position, timeUs: timeUs[slot] ?? 0, step, subject, detail });
      }
    }
    return found;
  }

  #mark(time: number, lane: number, first: number, events: number, label: number): void {
    // A batch may have more runs than there is room for.
    if (this.#marks.count === this.#eventsMax * STEPS_PER_EVENT) this.#forget();
    this.#labels.again(label);
    const slot = this.#marks.push();
    const { columns } = this.#marks;
    columns.timeUs[slot] = time;
    columns.lane[slot] = lane;
    columns.from[slot] = first;
    columns.count[slot] = events;
    columns.label[slot] = label;
    this.#positions += events;
  }

  #forget(): void {
    const slot = this.#marks.slot(0);
    const { count, label } = this.#marks.columns;
    this.#positions -= count[slot] ?? 0;
    this.#labels.release(label[slot] ?? 0);
    this.#marks.drop();
  }
}

const eventColumns = (rows: number) => ({
  idLow: new Uint32Array(rows),
  idHigh: new Uint32Array(rows),
  from: new Uint32Array(rows),
  lane: new Uint32Array(rows),
  at: new Float64Array(rows),
});

const markColumns = (rows: number) => ({
  timeUs: new Float64Array(rows),
  from: new Float64Array(rows),
  lane: new Uint32Array(rows),
  count: new Uint32Array(rows),
  label: new Uint32Array(rows),
});
