import type { EventStore } from '@eventmesh/store-api';
import { LOG, record } from '../load.ts';
import type { Acked } from './producers.ts';

const SHOWN_MAX = 5;

/** What is wrong with the store, by what was acknowledged; empty when nothing is. */
export async function problemsOf(store: EventStore, acked: Acked): Promise<string[]> {
  const problems: string[] = [];
  if ((await store.logInfo(LOG)) === undefined) {
    return [`the log is gone, with ${acked.records.size} acknowledged records`];
  }
  const stored = await readAll(store, problems);
  const lost = [...acked.records].filter(([id, at]) => stored[at - 1]?.equals(record(id)) !== true);
  if (lost.length > 0) {
    const shown = lost.slice(0, SHOWN_MAX).map(([id, at]) => `${id} at ${at}`);
    const all = acked.records.size;
    problems.push(`${lost.length} of ${all} acknowledged records are lost: ${shown.join(', ')}`);
  }
  const texts = stored.map((bytes) => bytes.toString('latin1'));
  if (new Set(texts).size !== texts.length) problems.push('a record is stored twice');
  const id = { log: LOG, partition: 0, subscription: 'consumer' };
  const floor = (await store.loadCursor(id))?.floor ?? 0;
  if (floor < acked.floor) {
    problems.push(`the cursor is at ${floor}; ${acked.floor} was acknowledged`);
  }
  if (floor > stored.length + 1) {
    problems.push(`the cursor is at ${floor}; the last record is at ${stored.length}`);
  }
  return problems;
}

/** All records from position 1; tells of holes. */
async function readAll(store: EventStore, problems: string[]): Promise<Buffer[]> {
  const stored: Buffer[] = [];
  const from = { kind: 'position', position: 1 } as const;
  for await (const item of store.read({ log: LOG, partition: 0, from, stopAtEnd: true })) {
    if (item.kind === 'gap') problems.push(`positions ${item.from} to ${item.to} are gone`);
    if (item.kind !== 'batch') continue;
    for (const [index, position] of item.positions.entries()) {
      if (position !== stored.length + 1) problems.push(`${position} follows ${stored.length}`);
      stored[position - 1] = Buffer.from(item.records[index] ?? []);
    }
  }
  return stored;
}
