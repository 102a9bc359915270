import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { tempDir } from '@eventmesh/testing';
import { lastAgreed } from './same-log.ts';
import { recordAt } from './test/record-at.ts';

const dir = tempDir('same-log');
let store: EventStore;

beforeAll(async () => {
  store = await openEmbeddedStore({ dir: dir.path });
  const spec = { retentionMs: 0, retentionBytes: 0, duplicateWindow: 0, partitions: 1 };
  for (const name of ['whole', 'trimmed', 'emptied', 'new']) {
    await store.ensureLog({ name, ...spec });
    if (name === 'new') continue;
    for (let n = 1; n <= 10; n++) {
      await store.append({ log: name, partition: 0, records: [recordAt(n * 100)] });
    }
  }
  await store.trim('trimmed', 0, 6);
  await store.trim('emptied', 0, 11);
});

afterAll(async () => {
  await store.close();
  dir.remove();
});

/** Pairs of a position and when its record came in. */
const agreed = (log: string, last: number, seen: readonly (readonly [number, number])[]) =>
  lastAgreed(store, log, {
    partition: 0,
    last: BigInt(last),
    seen: seen.map(([position, time]) => ({
      $typeName: 'eventmesh.link.v1.SeenRecord',
      position: BigInt(position),
      ingressTimeUs: BigInt(time),
    })),
  });

const SAME = undefined;

describe('the log that a neighbour has taken records from', () => {
  it.each([
    ['nothing was taken yet', 'whole', 0, [], SAME],
    ['nothing was taken of an empty one', 'new', 0, [], SAME],
    [
      'it has the last record taken',
      'whole',
      7,
      [
        [3, 300],
        [7, 700],
      ],
      SAME,
    ],
    ['it has one there, and which one is not known', 'whole', 7, [], SAME],
    ['it has an earlier one seen, and one at the last position', 'whole', 9, [[3, 300]], SAME],
    [
      'it has dropped all that was seen',
      'trimmed',
      4,
      [
        [2, 200],
        [4, 444],
      ],
      SAME,
    ],
    ['it has dropped everything', 'emptied', 10, [[10, 1000]], SAME],
    ['the last position is behind its end', 'whole', 11, [], 0],
    ['the last position is behind the end of a new one', 'new', 1, [[1, 100]], 0],
    [
      'and it has an earlier record',
      'whole',
      12,
      [
        [3, 300],
        [7, 700],
        [12, 1200],
      ],
      7,
    ],
    [
      'it has another record there',
      'whole',
      9,
      [
        [3, 300],
        [7, 700],
        [9, 950],
      ],
      7,
    ],
    [
      'it has other records at all positions known',
      'whole',
      9,
      [
        [3, 333],
        [9, 999],
      ],
      0,
    ],
    [
      'what came before is dropped',
      'trimmed',
      9,
      [
        [3, 333],
        [9, 999],
      ],
      3,
    ],
  ] as const)('%s', async (_, log, last, seen, want) => {
    expect(await agreed(log, last, seen)).toBe(want);
  });
});
