import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Journal } from './journal.ts';

const event = (id: string, source = '/s') => ({ id, source });
const at = (partition: number, position: number) => ({ partition, position });

describe('the journal', () => {
  it('finds where an event lies by tenant, id and source, and tells its steps in order', () => {
    const journal = new Journal(100);
    journal.stored('t', 0, 1, event('a'));
    journal.stored('t', 0, 2, event('a', '/other'));
    journal.stored('u', 0, 1, event('a'));
    journal.note('t', 0, [1, 2], 'delivered', 'sub');
    journal.note('t', 0, [2], 'settled', 'sub', 'accept');
    journal.note('u', 0, [2], 'settled', 'sub', 'reject');
    journal.note('t', 1, [2], 'settled', 'sub', 'reject');
    expect(journal.find('t', 'a')).toEqual([at(0, 1), at(0, 2)]);
    const found = journal.find('t', 'a', '/other');
    expect(found).toEqual([at(0, 2)]);
    expect(journal.steps('t', found)).toMatchObject([
      { ...at(0, 2), step: 'delivered', subject: 'sub', detail: '' },
      { ...at(0, 2), step: 'settled', subject: 'sub', detail: 'accept' },
    ]);
    expect(journal.steps('t', [at(2, 2)])).toEqual([]);
    expect([journal.receipts('t'), journal.receipts('u')]).toEqual([2, 1]);
  });

  it('remembers nothing when it has no room', () => {
    const journal = new Journal(0);
    journal.stored('t', 0, 1, event('a'));
    journal.note('t', 0, [1], 'delivered', 'sub');
    expect(journal.find('t', 'a')).toEqual([]);
    expect(journal.steps('t', [at(0, 1)])).toEqual([]);
    expect(journal.receipts('t')).toBe(1);
  });

  it('forgets the oldest events and steps beyond its bound, and its labels with them', () => {
    const journal = new Journal(3);
    for (let position = 1; position <= 50; position++) {
      journal.stored('t', 0, position, event(`e${position}`));
      journal.note('t', 0, [position], 'delivered', 'sub', `to c${position}`);
    }
    expect(journal.find('t', 'e47')).toEqual([]);
    expect(journal.steps('t', journal.find('t', 'e50'))).toMatchObject([{ detail: 'to c50' }]);
    expect(journal.steps('t', [at(0, 26)])).toEqual([]);
    expect(journal.labels).toBe(24);
  });

  it('knows what a plain list knows, whatever happens in which order', () => {
    const EVENTS_MAX = 4;
    const place = fc.record({ tenant: fc.constantFrom('t', 'u'), partition: fc.nat(1) });
    const stored = fc.record({
      kind: fc.constant('stored' as const),
      place,
      position: fc.nat(40),
      id: fc.constantFrom('a', 'b', 'ab'),
      source: fc.constantFrom('/s', '/r'),
    });
    const noted = fc.record({
      kind: fc.constant('noted' as const),
      place,
      positions: fc.uniqueArray(fc.nat(40), { maxLength: 40 }),
      step: fc.constantFrom('delivered', 'settled'),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(stored, noted), { maxLength: 60 }), (all) => {
        const journal = new Journal(EVENTS_MAX);
        for (const each of all) {
          const { tenant, partition } = each.place;
          if (each.kind === 'stored') journal.stored(tenant, partition, each.position, each);
          else journal.note(tenant, partition, each.positions, each.step, 'sub');
        }
        const events = all.filter((each) => each.kind === 'stored').slice(-EVENTS_MAX);
        const runs = keptRuns(all, EVENTS_MAX * 8);
        for (const tenant of ['t', 'u']) {
          for (const id of ['a', 'b', 'ab']) {
            const known = events.filter((each) => each.id === id && each.place.tenant === tenant);
            expect(journal.find(tenant, id)).toEqual(
              known.map(({ place: { partition }, position }) => at(partition, position)),
            );
          }
          for (let position = 0; position <= 40; position++) {
            const steps = journal.steps(tenant, [at(0, position)]).map(({ step }) => step);
            const own = runs.filter(
              ({ place, positions }) =>
                place.tenant === tenant && place.partition === 0 && positions.includes(position),
            );
            expect(steps).toEqual(own.map(({ step }) => step));
          }
        }
      }),
    );
  });
});

interface Noted {
  readonly place: { readonly tenant: string; readonly partition: number };
  readonly positions?: readonly number[];
  readonly step?: string;
}

/** What was noted, in runs of positions: the newest ones that have at most so many positions. */
function keptRuns(all: readonly Noted[], positionsMax: number) {
  const runs: { place: Noted['place']; positions: number[]; step: string }[] = [];
  for (const { place, positions = [], step = '' } of all) {
    for (const [index, position] of positions.entries()) {
      const run = index === 0 ? undefined : runs.at(-1);
      if (run?.positions.at(-1) === position - 1) run.positions.push(position);
      else runs.push({ place, positions: [position], step });
    }
  }
  let count = runs.reduce((sum, { positions }) => sum + positions.length, 0);
  while (count > positionsMax) count -= runs.shift()?.positions.length ?? 0;
  return runs;
}
