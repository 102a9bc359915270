import { describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { encodeEvent } from '@eventmesh/event';
import { Refusals } from './refusals.ts';

const ann = { tenant: 't', kind: 'user', name: 'ann', roles: [] } as const;
const event = (id: string, source = '/s') => encodeEvent({ id, source, type: 'x', attributes: [] });
const rules = { policyRevision: 3, grantsRevision: 5 };
const error = new MeshError('ResourceExhausted', 'the quota is used up', { reason: 'QUOTA' });

describe('the refusals at the gate', () => {
  it('are found by tenant, id and source, oldest first', () => {
    let timeUs = 0;
    const refusals = new Refusals(10, () => ++timeUs);
    refusals.note(ann, 'a/b', event('1'), error, rules);
    refusals.note({ ...ann, tenant: 'other' }, 'a/b', event('1'), error, rules);
    refusals.note(ann, 'a/c', event('1', '/other'), error, rules);
    expect(refusals.find('t', '1').map(({ topic }) => topic)).toEqual(['a/b', 'a/c']);
    expect(refusals.find('t', '1', '/s')).toEqual([
      {
        tenant: 't',
        principal: 'ann',
        id: '1',
        source: '/s',
        topic: 'a/b',
        timeUs: 1,
        ...rules,
        code: 'ResourceExhausted',
        reason: 'QUOTA',
        message: 'the quota is used up',
      },
    ]);
    expect(refusals.find('t', '2')).toEqual([]);
  });

  it('are forgotten oldest first, and kept of what is no event at all', () => {
    let timeUs = 0;
    const refusals = new Refusals(2, () => ++timeUs);
    for (const topic of ['a', 'b', 'c']) refusals.note(ann, topic, event('1'), error, rules);
    expect(refusals.find('t', '1').map(({ topic }) => topic)).toEqual(['b', 'c']);
    refusals.note(ann, 'd', Buffer.from('no event'), error, rules);
    expect(refusals.find('t', '').map(({ topic }) => topic)).toEqual(['d']);
    const none = new Refusals(0, () => 0);
    none.note(ann, 'a', event('1'), error, rules);
    expect(none.find('t', '1')).toEqual([]);
  });

  it('keep only so much of long texts', () => {
    const refusals = new Refusals(1, () => 0);
    refusals.note(ann, 't'.repeat(1000), event('i'.repeat(1000)), error, rules);
    const [found] = refusals.find('t', 'i'.repeat(1000));
    expect(found?.topic).toHaveLength(256);
    expect(found?.id).toHaveLength(256);
  });

  it('are found by the whole of a long id and source', () => {
    const refusals = new Refusals(10, () => 0);
    const [id, source] = ['i'.repeat(1000), 's'.repeat(1000)];
    refusals.note(ann, 'a', event(`${id}1`, `${source}1`), error, rules);
    refusals.note(ann, 'b', event(`${id}2`, `${source}1`), error, rules);
    refusals.note(ann, 'c', event(`${id}1`, `${source}2`), error, rules);
    expect(refusals.find('t', `${id}1`).map(({ topic }) => topic)).toEqual(['a', 'c']);
    expect(refusals.find('t', `${id}1`, `${source}2`).map(({ topic }) => topic)).toEqual(['c']);
    expect(refusals.find('t', id.slice(0, 256))).toEqual([]);
  });
});
