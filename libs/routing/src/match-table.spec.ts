import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EventView, encodeEvent, topicMatches } from '@eventmesh/event';
import { compileFilters, necessaryConditions, type FilterSpec } from '@eventmesh/filter';
import { MatchTable } from './match-table.ts';

interface Looked {
  readonly topic: string;
  readonly event: EventView;
}

class Wanting {
  readonly topicFilters: readonly string[];
  readonly conditions;
  readonly matches;

  constructor(topicFilters: readonly string[], filters: readonly FilterSpec[]) {
    this.topicFilters = topicFilters;
    this.conditions = necessaryConditions(filters);
    this.matches = compileFilters(filters);
  }
}

const looked = (topic: string, type: string): Looked => ({
  topic,
  event: new EventView(encodeEvent({ id: '1', source: '/s', type })),
});

const newTable = () => new MatchTable<Looked, Wanting>(({ event }) => event);
const wants = ({ topicFilters, matches }: Wanting, { topic, event }: Looked): boolean =>
  topicFilters.some((filter) => topicMatches(filter, topic)) && matches(event);

const topicFilter = fc.constantFrom('#', 'a/#', 'a/+', 'a/x', 'b/x', '+/x');
const type = fc.constantFrom('t', 'tt', 'u', 'v');
const filters = fc.oneof(
  fc.constant<FilterSpec[]>([]),
  type.map((value): FilterSpec[] => [{ exact: { type: value } }]),
  type.map((value): FilterSpec[] => [{ prefix: { type: value } }]),
  type.map((value): FilterSpec[] => [{ not: { exact: { type: value } } }]),
  type.map((value): FilterSpec[] => [{ sql: `type = '${value}' OR source = '/x'` }]),
);

describe('a table of who wants what', () => {
  it('finds whoever topic and filters match, however they have come and gone', () => {
    const one = fc
      .tuple(fc.array(topicFilter, { minLength: 1, maxLength: 3 }), filters)
      .map((given) => new Wanting(...given));
    const step = fc.oneof({ weight: 4, arbitrary: one }, { weight: 1, arbitrary: fc.nat() });
    const records = fc.array(
      fc.tuple(fc.constantFrom('a/x', 'a/y', 'b/x', 'c', '$x'), type).map((of) => looked(...of)),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), records, (steps, all) => {
        const table = newTable();
        const there: Wanting[] = [];
        for (const given of steps) {
          if (given instanceof Wanting) {
            table.add(given.topicFilters, given.conditions, given);
            there.push(given);
            continue;
          }
          const [gone] = there.splice(given % Math.max(1, there.length), 1);
          if (gone !== undefined) table.remove(gone.topicFilters, gone);
        }
        for (const record of all) {
          const found = [...table.match(record, new Set())];
          expect(new Set(found.filter(({ matches }) => matches(record.event)))).toEqual(
            new Set(there.filter((each) => wants(each, record))),
          );
          // Topics are matched for good.
          for (const { topicFilters } of found) {
            expect(topicFilters.some((filter) => topicMatches(filter, record.topic))).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('finds the one of many on a topic, and does not read events where topics decide', () => {
    let reads = 0;
    const table = new MatchTable<Looked, Wanting>(({ event }) => {
      reads++;
      return event;
    });
    for (let i = 0; i < 100; i++) {
      const one = new Wanting(['a/#'], [{ exact: { type: `t${i}` } }]);
      table.add(one.topicFilters, one.conditions, one);
    }
    const alone = new Wanting(['b'], [{ exact: { type: 't1' } }]);
    table.add(alone.topicFilters, alone.conditions, alone);
    expect(table.match(looked('b', 't'), new Set())).toEqual(new Set([alone]));
    expect(reads).toBe(0);
    expect(table.match(looked('a/b', 't7'), new Set()).size).toBe(1);
    expect(table.match(looked('a/b', 't'), new Set()).size).toBe(0);
    expect(reads).toBe(2);
  });

  it('finds all on the topic for what is no event', () => {
    const table = new MatchTable<Looked, number>(() => {
      throw new Error('no event');
    });
    const conditions = necessaryConditions([{ exact: { type: 't' } }]);
    for (let i = 0; i < 20; i++) table.add(['a'], conditions, i);
    expect(table.match(looked('a', 'x'), new Set()).size).toBe(20);
  });
});
