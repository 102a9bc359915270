import type { Gap, ReplayOptions } from '@eventmesh/adapter-api';
import type { Start } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import type { EventView } from '@eventmesh/event';
import type { MemoryRecord } from './memory-subscription.ts';

/** Stored records from a start on, and what is gone of them. */
export interface MemoryPart {
  readonly records: readonly MemoryRecord[];
  readonly gaps: readonly Gap[];
}

/** The log of a memory mesh; all tenants share it. */
export class MemoryLog {
  readonly partitions: readonly MemoryRecord[][];
  readonly #trimmed: number[];
  readonly #seen = new Map<string, MemoryRecord>();

  constructor(partitions: number) {
    this.partitions = Array.from({ length: partitions }, () => []);
    this.#trimmed = this.partitions.map(() => 0);
  }

  /** First position that is kept. */
  first(partition: number): number {
    return (this.#trimmed[partition] ?? 0) + 1;
  }

  partitionOf(view: EventView): number {
    let hash = 0;
    for (const byte of Buffer.from(view.text('partitionkey') ?? '')) {
      hash = (hash * 31 + byte) >>> 0;
    }
    return hash % this.partitions.length;
  }

  /** Where an event of this source and id lies, if it was stored before. */
  duplicateOf(tenant: string, view: EventView): MemoryRecord | undefined {
    return this.#seen.get(dedupKey(tenant, view));
  }

  append(tenant: string, topic: string, view: EventView): MemoryRecord {
    const partition = this.partitionOf(view);
    const records = this.partitions[partition] ?? [];
    const position = records.length + 1;
    const ingressTimeUs = Date.now() * 1000;
    const record = { tenant, topic, view, partition, position, ingressTimeUs };
    records.push(record);
    this.#seen.set(dedupKey(tenant, view), record);
    return record;
  }

  /** Ends the duplicate window: every (source, id) is new again. */
  forgetDuplicates(): void {
    this.#seen.clear();
  }

  /** Forgets everything before a position. */
  trim(partition: number, before: number): void {
    this.#trimmed[partition] = before - 1;
  }

  /**
   * A tenant's records from a start on.
   * @param toMs Only those from before; 0: all.
   * @throws MeshError NotFound, InvalidArgument for a start that is not there.
   */
  from(tenant: string, start: Start, toMs: ReplayOptions['toMs'] = 0): MemoryPart {
    this.checkStart(tenant, start);
    const event = start.kind === 'after' ? this.#find(tenant, start) : undefined;
    const records: MemoryRecord[] = [];
    const gaps: Gap[] = [];
    for (const [partition, all] of this.partitions.entries()) {
      const kept = this.first(partition);
      const first = firstPosition(start, event, all, { partition, kept });
      if (first < kept) gaps.push({ partition, from: Math.max(1, first), to: kept - 1 });
      for (const record of all.slice(Math.max(first, kept) - 1)) {
        const late = toMs !== 0 && record.ingressTimeUs >= toMs * 1000;
        if (record.tenant === tenant && !late) records.push(record);
      }
    }
    return { records, gaps };
  }

  checkStart(tenant: string, start: Start): void {
    if (start.kind === 'time' && start.timeMs > Date.now() + AHEAD_MS_MAX) {
      throw invalid('start.timeMs', 'has not come; begin at latest, then', {
        limit: `at most now, ${new Date().toISOString()}`,
        reason: 'START_IN_FUTURE',
      });
    }
    if (start.kind === 'position') {
      const records = this.partitions[start.partition];
      if (records === undefined) {
        const limit = `0 to ${this.partitions.length - 1}`;
        throw invalid('start.partition', `there is no partition ${start.partition}`, { limit });
      }
      if (start.position > records.length + 1) {
        const limit = `0 to ${records.length + 1}`;
        throw invalid('start.position', `${start.position} is beyond the end`, { limit });
      }
    }
    if (start.kind !== 'after') return;
    this.#find(tenant, start);
  }

  #find(tenant: string, { source, id }: { source: string; id: string }): MemoryRecord {
    const all = this.partitions.flat();
    const found = all.find(
      (one) => one.tenant === tenant && one.view.id === id && one.view.source === source,
    );
    if (found !== undefined) return found;
    const text = `start: there is no event "${id}" of "${source}" in the store of this site`;
    throw new MeshError('NotFound', text, { field: 'start', reason: 'EVENT_NOT_FOUND' });
  }
}

/** How far ahead a time may be that is taken as now, in ms. */
const AHEAD_MS_MAX = 5000;

const dedupKey = (tenant: string, { source, id }: EventView): string =>
  JSON.stringify([tenant, source, id]);

function firstPosition(
  start: Start,
  event: MemoryRecord | undefined,
  records: readonly MemoryRecord[],
  { partition, kept }: { readonly partition: number; readonly kept: number },
): number {
  const end = records.length + 1;
  const since = (timeUs: number): number => {
    const at = records.findIndex(({ ingressTimeUs }) => ingressTimeUs >= timeUs);
    return at === -1 ? end : at + 1;
  };
  switch (start.kind) {
    case 'earliest':
      return kept;
    case 'latest':
      return end;
    case 'position':
      if (start.partition !== partition) return end;
      return start.position === 0 ? kept : start.position;
    case 'time':
      return since(start.timeMs * 1000);
    case 'after':
      // In the event's own partition right behind it; in the others by the time of its acceptance.
      if (event === undefined) return end;
      return event.partition === partition ? event.position + 1 : since(event.ingressTimeUs);
  }
}
