import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cleanHistory } from './clean-history.ts';
import { checkHistory } from './history-checker.ts';
import type { HistoryLine, ReceiveLine } from './history.ts';
import { DEFECTS, type Defect } from './report.ts';

const shape = fc.record({
  seed: fc.integer(),
  events: fc.integer({ min: 1, max: 120 }),
  keys: fc.integer({ min: 1, max: 5 }),
  releasedPercent: fc.integer({ min: 0, max: 40 }),
  unknownPercent: fc.integer({ min: 0, max: 30 }),
});

/** A history with acknowledged events enough to plant a defect anywhere. */
const busy = fc.record({
  seed: fc.integer(),
  events: fc.integer({ min: 40, max: 120 }),
  keys: fc.integer({ min: 1, max: 4 }),
  releasedPercent: fc.constant(20),
  unknownPercent: fc.constant(10),
});

const defectsOf = (lines: readonly HistoryLine[]): Defect[] => {
  const report = checkHistory(lines);
  return DEFECTS.filter((defect) => report[defect].count > 0);
};

const isFirst = (line: HistoryLine): line is ReceiveLine =>
  line.op === 'recv' && line.attempt === 1;

/** Deliveries of acknowledged events to the subscription `all`. */
function targets(lines: readonly HistoryLine[]): ReceiveLine[] {
  const acked = new Set(lines.flatMap((line) => (line.op === 'ok' ? [line.id] : [])));
  return lines.filter(
    (line): line is ReceiveLine => isFirst(line) && line.sub === 'all' && acked.has(line.id),
  );
}

type Plant = (lines: HistoryLine[], pick: number) => HistoryLine[] | undefined;

/** A fault and the defect it must be called. */
const faults: Record<string, [Defect, Plant]> = {
  'an acknowledged event that is nowhere': [
    'lost',
    (lines, pick) => {
      const at = targets(lines)[pick];
      return lines.filter((line) => !('sub' in line && 'id' in line && line.id === at?.id));
    },
  ],
  'an acknowledgement of what was not stored yet and never came': [
    'lost',
    (lines) => [
      ...lines,
      send({ id: 'early', topic: 'orders/eu/new' }),
      { t: 1e6, op: 'ok', id: 'early' },
    ],
  ],
  'a second delivery of an accepted event': [
    'duplicated',
    (lines, pick) => [...lines, { ...must(targets(lines)[pick]), attempt: 2, t: 1e6 }],
  ],
  'a second delivery at attempt 1': [
    'duplicated',
    (lines, pick) => {
      const at = must(targets(lines)[pick]);
      const index = lines.indexOf(at);
      return [...lines.slice(0, index + 1), { ...at }, ...lines.slice(index + 1)];
    },
  ],
  'two events of one key in the wrong order': ['reordered', swapWithinKey],
  'an event that nobody sent': [
    'phantom',
    (lines, pick) => [...lines, { ...must(targets(lines)[pick]), id: 'ghost', t: 1e6 }],
  ],
  'an event whose send was refused': [
    'phantom',
    (lines, pick) => [
      ...lines,
      send({ id: 'refused', topic: 'orders/eu/new' }),
      { t: 1e6, op: 'fail', id: 'refused' },
      {
        ...must(targets(lines)[pick]),
        id: 'refused',
        hash: 'h',
        key: 'k0',
        topic: 'orders/eu/new',
      },
    ],
  ],
  'one changed byte': [
    'corrupted',
    (lines, pick) => replace(lines, must(targets(lines)[pick]), { hash: 'changed' }),
  ],
  'another topic than was sent to': [
    'corrupted',
    (lines, pick) => replace(lines, must(targets(lines)[pick]), { topic: 'orders/eu/old' }),
  ],
  'a delivery to another tenant': [
    'leaked',
    (lines, pick) => [...lines, { ...must(targets(lines)[pick]), sub: 'other', t: 1e6 }],
  ],
};

function send(parts: { id: string; topic: string }): HistoryLine {
  return { t: 1e6, op: 'send', tenant: 'a', producer: 'late', key: 'k0', hash: 'h', ...parts };
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the generated history is too small for this fault');
  return value;
}

function replace(lines: HistoryLine[], at: ReceiveLine, by: Partial<ReceiveLine>): HistoryLine[] {
  return lines.map((line) => (line === at ? { ...line, ...by } : line));
}

/** Swaps the identities of two first deliveries of one topic and key, where there are such. */
function swapWithinKey(lines: HistoryLine[]): HistoryLine[] | undefined {
  // An event whose outcome was unknown may have been sent again: its place is not judged.
  const unknown = new Set(lines.flatMap((line) => (line.op === 'unknown' ? [line.id] : [])));
  const all = targets(lines).filter(({ id }) => !unknown.has(id));
  const sentAt = new Map<string, number>(
    lines.flatMap((line) => (line.op === 'send' ? [[line.id, line.t] as const] : [])),
  );
  for (const [index, first] of all.entries()) {
    // Both sent before either is delivered; else the swap would deliver what is not sent yet.
    const second = all
      .slice(index + 1)
      .find(
        ({ id, key, topic }) =>
          key === first.key && topic === first.topic && (sentAt.get(id) ?? 0) < first.t,
      );
    if (second === undefined) continue;
    const swap = (line: HistoryLine): HistoryLine => {
      if (!('id' in line && 'sub' in line) || line.sub !== 'all') return line;
      if (line.id !== first.id && line.id !== second.id) return line;
      const to = line.id === first.id ? second : first;
      return line.op === 'recv' ? { ...line, id: to.id, hash: to.hash } : { ...line, id: to.id };
    };
    return lines.map(swap);
  }
  return undefined;
}

describe('checkHistory', () => {
  it('raises no alarm over clean histories with redeliveries and unknown outcomes', () => {
    fc.assert(
      fc.property(shape, (given) => {
        expect(defectsOf(cleanHistory(given))).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it.each(Object.entries(faults))('flags %s', (_title, [defect, plant]) => {
    fc.assert(
      fc.property(busy, fc.nat({ max: 9 }), (given, pick) => {
        const clean = cleanHistory(given);
        expect(defectsOf(clean)).toEqual([]);
        const planted = plant(clean, pick);
        // Some histories have no place for the fault; another one is made instead.
        fc.pre(planted !== undefined);
        expect(defectsOf(planted)).toEqual([defect]);
      }),
      { numRuns: 30 },
    );
  });

  it('balances the books of each subscription', () => {
    fc.assert(
      fc.property(shape, (given) => {
        for (const sub of checkHistory(cleanHistory(given)).subscriptions) {
          expect(sub.delivered + sub.filtered + sub.accounted + sub.lost).toBe(sub.acked);
        }
      }),
    );
  });

  it('flags a delivery without the right, and one outside the topic filters', () => {
    const lines: HistoryLine[] = [
      { t: 1, op: 'subscribe', sub: 's', tenant: 'a', topicFilters: ['x'], grants: ['x', 'z'] },
      { ...send({ id: '1', topic: 'y' }), t: 2 },
      { ...send({ id: '2', topic: 'z' }), t: 3 },
      { t: 4, op: 'recv', sub: 's', id: '1', topic: 'y', key: 'k0', hash: 'h', attempt: 1 },
      { t: 5, op: 'recv', sub: 's', id: '2', topic: 'z', key: 'k0', hash: 'h', attempt: 1 },
    ];
    expect(defectsOf(lines)).toEqual(['leaked', 'misrouted']);
  });

  it('takes what the books of the system account for as not lost', () => {
    const lines: HistoryLine[] = [
      { t: 1, op: 'subscribe', sub: 's', tenant: 'a', topicFilters: ['#'] },
      { ...send({ id: '1', topic: 'x' }), t: 2 },
      { t: 3, op: 'ok', id: '1' },
    ];
    expect(defectsOf(lines)).toEqual(['lost']);
    expect(
      defectsOf([...lines, { t: 4, op: 'account', sub: 's', id: '1', as: 'dead-lettered' }]),
    ).toEqual([]);
  });

  it('explains a repeat by the consumer having gone away, once for each event', () => {
    const receive = (t: number): HistoryLine => ({
      t,
      op: 'recv',
      sub: 's',
      id: '1',
      topic: 'x',
      key: 'k0',
      hash: 'h',
      attempt: 1,
    });
    const lines: HistoryLine[] = [
      { t: 1, op: 'subscribe', sub: 's', tenant: 'a', topicFilters: ['#'] },
      { ...send({ id: '1', topic: 'x' }), t: 2 },
      { t: 3, op: 'ok', id: '1' },
      receive(4),
      { t: 5, op: 'detach', sub: 's' },
      receive(6),
    ];
    expect(defectsOf(lines)).toEqual([]);
    expect(defectsOf([...lines, receive(7)])).toEqual(['duplicated']);
    expect(checkHistory([...lines, receive(7)], { duplicatesMax: 1 }).verdict).toBe('pass');
  });

  it('counts what arrived although its outcome was unknown as recovered', () => {
    const report = checkHistory([
      { t: 1, op: 'subscribe', sub: 's', tenant: 'a', topicFilters: ['#'] },
      { ...send({ id: '1', topic: 'x' }), t: 2 },
      { t: 3, op: 'unknown', id: '1' },
      { t: 4, op: 'recv', sub: 's', id: '1', topic: 'x', key: 'k0', hash: 'h', attempt: 1 },
    ]);
    expect(report).toMatchObject({ verdict: 'pass', recovered: 1, acked: 0, unknown: 1 });
  });
});
