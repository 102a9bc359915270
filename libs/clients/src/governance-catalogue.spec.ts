import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import { EventTypeSchema, TopicSchema } from '@eventmesh/proto-gen/governance';
import { Catalogue, compareSpecificity } from './governance-catalogue.ts';

const topic = (topicFilter: string, tenant = 't') => create(TopicSchema, { tenant, topicFilter });

describe('the catalogue', () => {
  it.each([
    ['a/b', 'a/b'],
    ['a/c', 'a/+'],
    ['a', 'a'],
    ['a/b/c', 'a/b/#'],
    ['a/x/c', 'a/+/c'],
    ['a/x/d', 'a/#'],
    ['b', '#'],
    ['b/c', '+/c'],
  ])('applies to %s the most specific entry: %s', (name, expected) => {
    const catalogue = new Catalogue(1000);
    const filters = ['#', 'a/#', 'a', 'a/+', 'a/b', 'a/+/c', 'a/b/#', '+/c'];
    catalogue.reset(
      filters.map((one) => topic(one)),
      [],
    );
    expect(catalogue.topicPolicy('t', name)?.topicFilter).toBe(expected);
    expect(catalogue.topicPolicy('t', name)?.topicFilter).toBe(expected);
    expect(catalogue.topicPolicy('u', name)).toBeUndefined();
  });

  it('orders any filters the same way, whichever comes first', () => {
    const filters = ['#', 'a/#', 'a', 'a/+', 'a/b', 'a/+/c', 'a/b/#', '+/c', '+', '+/#', ''];
    for (const a of filters) {
      for (const b of filters) {
        expect(Math.sign(compareSpecificity(a, b)) + Math.sign(compareSpecificity(b, a))).toBe(0);
      }
    }
  });

  it('forgets what it remembered when an entry changes', () => {
    const catalogue = new Catalogue(1000);
    expect(catalogue.topicPolicy('t', 'a')).toBeUndefined();
    catalogue.setTopic(topic('#'));
    expect(catalogue.topicPolicy('t', 'a')?.topicFilter).toBe('#');
    catalogue.setTopic(topic('a'));
    expect(catalogue.topicPolicy('t', 'a')?.topicFilter).toBe('a');
    catalogue.deleteTopic(topic('a'));
    expect(catalogue.topicPolicy('t', 'a')?.topicFilter).toBe('#');
  });

  it('compiles a schema once a revision, before it is needed when there is time', () => {
    const catalogue = new Catalogue(1000);
    const type = (jsonSchema: string) =>
      create(EventTypeSchema, { tenant: 't', type: 'x', jsonSchema });
    catalogue.setType(type('{"type":"object"}'));
    expect(catalogue.compileNext()).toBe(true);
    expect(catalogue.compileNext()).toBe(false);
    catalogue.setType(type('{"type":"object"}'));
    expect(catalogue.compileNext()).toBe(false);
    catalogue.setType(type('{"type":"array"}'));
    expect(catalogue.compileNext()).toBe(true);
  });

  it('lets nothing pass under a schema that cannot be used', () => {
    const catalogue = new Catalogue(1000);
    catalogue.setType(create(EventTypeSchema, { tenant: 't', type: 'x', jsonSchema: '{' }));
    const verdict = catalogue.checkSchema(
      't',
      'x',
      'application/json',
      new TextEncoder().encode('1'),
    );
    expect(verdict.kind).toBe('refuse');
  });
});
