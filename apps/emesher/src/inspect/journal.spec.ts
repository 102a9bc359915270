import { describe, expect, it } from '@jest/globals';
import { EventView, encodeEvent } from '@eventmesh/event';
import { Journal } from './journal.ts';

const event = (id: string, source = '/s') => new EventView(encodeEvent({ id, source, type: 't' }));

describe('the journal', () => {
  it('finds an event by tenant, id and source, and tells its steps in order', () => {
    const journal = new Journal('west', 100);
    journal.stored('t', 0, 1, event('a'), 'x');
    journal.stored('t', 0, 2, event('a', '/other'), 'y');
    journal.stored('u', 0, 1, event('a'), 'z');
    journal.note('t', 0, [1, 2], 'delivered', 'sub');
    journal.note('t', 0, [2], 'settled', 'sub', 'accept');
    journal.note('u', 0, [2], 'settled', 'sub', 'reject');
    expect(journal.find('t', 'a').map(({ topic }) => topic)).toEqual(['x', 'y']);
    const [found] = journal.find('t', 'a', '/other');
    const steps = found === undefined ? [] : journal.steps(found);
    expect(steps.map(({ step, detail }) => [step, detail])).toEqual([
      ['delivered', ''],
      ['settled', 'accept'],
    ]);
  });

  it('forgets the oldest events and steps beyond its bound', () => {
    const journal = new Journal('west', 3);
    for (let position = 1; position <= 50; position++) {
      journal.stored('t', 0, position, event(`e${position}`), 'x');
      journal.note('t', 0, [position], 'delivered', 'sub');
    }
    expect(journal.find('t', 'e47')).toEqual([]);
    const [found] = journal.find('t', 'e50');
    expect(found === undefined ? [] : journal.steps(found)).toHaveLength(1);
    const gone = { tenant: 't', id: '', source: '', topic: '', partition: 0, position: 26 };
    expect(journal.steps(gone)).toEqual([]);
  });
});
