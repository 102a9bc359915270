import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EventView, encodeEvent } from '@eventmesh/event';
import { compileFilters, explainFilters, type FilterReason, type FilterSpec } from './index.ts';

const event = new EventView(
  encodeEvent({
    id: '1',
    source: '/west',
    type: 'com.example.order',
    attributes: [
      ['region', { kind: 'string', value: 'apac' }],
      ['priority', { kind: 'integer', value: 3 }],
    ],
    data: { kind: 'text', bytes: Buffer.from('{"lines":[{"sku":"a"},{"sku":"b"}]}') },
  }),
);

const sql = "type LIKE 'com.example.%' AND region IN ('eu', 'us') AND (priority > 5 OR EXISTS vip)";

describe('explainFilters', () => {
  it.each<[string, FilterSpec[], FilterReason]>([
    [
      'an attribute with another value',
      [{ exact: { type: 'com.example.order', source: '/east' } }],
      { path: 'filters[0].exact.source', expression: 'source = "/east"', saw: 'source is "/west"' },
    ],
    [
      'an attribute that is not there, in the second filter',
      [{ prefix: { type: 'com.' } }, { suffix: { subject: '/1' } }],
      {
        path: 'filters[1].suffix.subject',
        expression: 'subject ends with "/1"',
        saw: 'subject is absent',
      },
    ],
    [
      'the one of all that is false',
      [{ all: [{ exact: { id: '1' } }, { prefix: { region: 'e' } }] }],
      {
        path: 'filters[0].all[1].prefix.region',
        expression: 'region starts with "e"',
        saw: 'region is "apac"',
      },
    ],
    [
      'each one of any',
      [{ any: [{ exact: { region: 'eu' } }, { sql: 'priority > 5' }] }],
      {
        path: 'filters[0].any',
        expression: 'any of [{"exact":{"region":"eu"}},{"sql":"priority > 5"}]',
        saw: 'region is "apac", priority is 3',
      },
    ],
    [
      'what should not have been true',
      [{ not: { exact: { id: '1' } } }],
      { path: 'filters[0].not', expression: 'not {"exact":{"id":"1"}}', saw: 'it was true' },
    ],
    [
      'the part of an AND that is false',
      [{ sql }],
      { path: 'filters[0].sql', expression: "region IN ('eu', 'us')", saw: 'region is "apac"' },
    ],
    [
      'a part in brackets, with all that it looked at',
      [{ sql: 'TRUE AND (id = 1 AND (priority > 5 OR EXISTS vip))' }],
      {
        path: 'filters[0].sql',
        expression: 'priority > 5 OR EXISTS vip',
        saw: 'priority is 3, vip is absent',
      },
    ],
    [
      'an error',
      [{ sql: "id = '1' AND vip = TRUE" }],
      {
        path: 'filters[0].sql',
        expression: 'vip = TRUE',
        saw: 'vip is absent',
        error: 'missingAttribute: the event has no attribute "vip"',
      },
    ],
    [
      'the values in the data',
      [{ data: { path: '$.lines[*].sku', equals: 'c' } }],
      {
        path: 'filters[0].data',
        expression: '$.lines[*].sku = "c"',
        saw: '$.lines[*].sku is "a", "b"',
      },
    ],
    [
      'nothing in the data',
      [{ data: { path: '$.total', less: 1 } }],
      {
        path: 'filters[0].data',
        expression: '$.total < 1',
        saw: 'there is nothing at $.total',
      },
    ],
    [
      'what is there and is no scalar',
      [{ data: { path: '$.lines', equals: null } }],
      { path: 'filters[0].data', expression: '$.lines = null', saw: '$.lines is a list' },
    ],
    [
      'each test in words',
      [{ data: { path: '$.lines[0]', prefix: 'a' } }],
      {
        path: 'filters[0].data',
        expression: '$.lines[0] starts with "a"',
        saw: '$.lines[0] is an object',
      },
    ],
  ])('names %s', (_, filters, because) => {
    expect(explainFilters(filters, event)).toEqual({ passed: false, because });
  });

  it('keeps it short, however deep or long the data are', () => {
    const look = (data: string, wanted: string) => {
      const bytes = Buffer.from(data);
      const of = new EventView(
        encodeEvent({ id: '1', source: 's', type: 't', data: { kind: 'text', bytes } }),
      );
      return explainFilters([{ data: { path: '$.a', equals: wanted } }], of).because;
    };
    const deep = 60_000;
    expect(look(`{"a":${'['.repeat(deep)}${']'.repeat(deep)}}`, 'x')?.saw).toBe('$.a is a list');
    const long = look(`{"a":"${'y'.repeat(200_000)}"}`, 'x'.repeat(4000));
    expect(long?.saw).toMatch(/^\$\.a is "y{100,}…"$/);
    expect(long?.saw.length).toBeLessThanOrEqual(512);
    expect(long?.expression.length).toBeLessThanOrEqual(512);
  });

  it('says that data is not JSON', () => {
    const bare = new EventView(encodeEvent({ id: '1', source: 's', type: 't' }));
    const { because } = explainFilters([{ data: { path: '$', exists: true } }], bare);
    expect(because?.saw).toBe('the data is not JSON, or larger than 256 KiB');
  });

  it('says that an event cannot be read', () => {
    const broken = new EventView(Buffer.from([0x2a, 0x03, 0x0a, 0x01, 0x61]));
    const { passed, because } = explainFilters([{ exact: { region: 'eu' } }], broken);
    expect(passed).toBe(false);
    expect(because?.error).toContain('a: has no value');
  });

  it('passes what delivery passes, has a reason for all else, and keeps it short', () => {
    const leaf = fc.constantFrom<FilterSpec>(
      { exact: { id: '1' } },
      { exact: { region: 'x'.repeat(2000) } },
      { sql },
      { sql: 'priority = 3' },
      { sql: 'nowhere = 3' },
      { data: { path: '$.lines', exists: true } },
      { data: { path: '$[*][*][*]', equals: 'z' } },
    );
    const { filter } = fc.letrec<{ filter: FilterSpec }>((tie) => ({
      filter: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.record({ not: tie('filter') }),
        fc.record({ all: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
        fc.record({ any: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      ),
    }));
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 3 }), (filters) => {
        const { passed, because } = explainFilters(filters, event);
        expect(passed).toBe(compileFilters(filters)(event));
        expect(because === undefined).toBe(passed);
        expect(JSON.stringify(because ?? '').length).toBeLessThan(4096);
      }),
    );
  });
});
