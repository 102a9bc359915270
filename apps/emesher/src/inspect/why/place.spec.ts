import { describe, expect, it } from '@jest/globals';
import { NO_COUNTS, encodeState } from '@eventmesh/delivery';
import { storedPlace } from './place.ts';
import { record, subscription } from './test/billing.ts';

const LATER = Date.now() + 3_600_000;
const state = encodeState({
  counters: NO_COUNTS,
  start: 3,
  failures: [
    [5, 2],
    [6, 1],
  ],
  delays: [
    [6, LATER],
    [7, LATER],
    [8, 1],
  ],
  parked: [],
  parkedEvents: 0,
});
const store = {
  loadCursor: () => Promise.resolve({ floor: 5, settled: [{ from: 9, to: 9 }], epoch: 1, state }),
};

describe('where an event stands by the cursor, while nobody runs its subscription', () => {
  it.each([
    ['before the subscription begins', 2, { kind: 'before-start' }],
    ['below the floor', 4, { kind: 'settled' }],
    ['settled out of order', 9, { kind: 'settled' }],
    ['failed', 5, { kind: 'held', state: 'ready', failures: 2, attempts: 2, dueMs: 0 }],
    ['failed, and waiting for its retry', 6, { state: 'later', failures: 1, dueMs: LATER }],
    ['released with a delay', 7, { state: 'later', failures: 0, dueMs: LATER }],
    ['released with a delay that is over', 8, { kind: 'unread' }],
    ['not looked at', 10, { kind: 'unread', lag: 5 }],
  ])('is told when it is %s', async (_, position, place) => {
    const at = { partition: 0, position, record, last: 10 };
    const logs = { name: () => 'events.t' };
    expect(await storedPlace({ store, logs }, subscription, at)).toMatchObject(place);
  });
});
