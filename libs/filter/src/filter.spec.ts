import { describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { EventView, encodeEvent } from '@eventmesh/event';
import { compileFilters, type FilterSpec } from './index.ts';

const event = new EventView(
  encodeEvent({
    id: '1',
    source: '/shop/west',
    type: 'com.example.order.created',
    attributes: [
      ['subject', { kind: 'string', value: 'orders/42' }],
      ['count', { kind: 'integer', value: -7 }],
      ['urgent', { kind: 'boolean', value: true }],
    ],
  }),
);

const type = 'com.example.order.created';

describe('compileFilters', () => {
  it.each<[string, FilterSpec[], boolean]>([
    ['no filters', [], true],
    ['exact equal', [{ exact: { type } }], true],
    ['exact other case', [{ exact: { type: type.toUpperCase() } }], false],
    ['exact with two attributes, one wrong', [{ exact: { type, source: '/x' } }], false],
    ['exact on an absent attribute', [{ exact: { absent: 'x' } }], false],
    ['exact on an integer', [{ exact: { count: '-7' } }], true],
    ['exact on a boolean', [{ exact: { urgent: 'true' } }], true],
    ['prefix', [{ prefix: { type: 'com.example.' } }], true],
    ['prefix longer than the value', [{ prefix: { type: `${type}.x` } }], false],
    ['suffix', [{ suffix: { subject: '/42' } }], true],
    ['suffix wrong', [{ suffix: { subject: '/43' } }], false],
    ['all of two, one false', [{ all: [{ exact: { type } }, { exact: { id: '2' } }] }], false],
    ['any of two, one true', [{ any: [{ exact: { id: '2' } }, { exact: { type } }] }], true],
    ['not of an absent attribute', [{ not: { exact: { absent: 'x' } } }], true],
    ['not not', [{ not: { not: { exact: { id: '1' } } } }], true],
    ['sql', [{ sql: "type LIKE '%.order.%' AND count < 0" }], true],
    ['sql that is false', [{ sql: 'urgent AND count > 0' }], false],
    ['sql in error', [{ sql: 'absent > 0' }], false],
    ['sql that gives no Boolean', [{ sql: 'subject' }], false],
    ['not of sql in error', [{ not: { sql: 'absent > 0' } }], true],
    ['data of an event without any', [{ data: { path: '$', exists: true } }], false],
    ['a list means all', [{ exact: { id: '1' } }, { exact: { id: '2' } }], false],
  ])('%s', (_, filters, expected) => {
    expect(compileFilters(filters)(event)).toBe(expected);
  });

  it.each<[string, unknown, string, string]>([
    ['an unknown dialect', [{ regex: { type: '.*' } }], 'Unimplemented', 'filters[0].regex'],
    [
      'two dialects',
      [{ exact: { id: '1' }, prefix: { id: '1' } }],
      'InvalidArgument',
      'filters[0]',
    ],
    ['an empty any', [{ any: [] }], 'InvalidArgument', 'filters[0].any'],
    ['an empty value', [{ exact: { id: '' } }], 'InvalidArgument', 'filters[0].exact.id'],
    ['a bad attribute name', [{ exact: { Id: 'x' } }], 'InvalidArgument', 'filters[0].exact.Id'],
    ['no list', { exact: { id: '1' } }, 'InvalidArgument', 'filters'],
    ['null inside', [{ not: null }], 'InvalidArgument', 'filters[0].not'],
    ['sql that is no text', [{ sql: 1 }], 'InvalidArgument', 'filters[0].sql'],
    ['sql that is no expression', [{ sql: 'a = ' }], 'InvalidArgument', 'filters[0].sql'],
    ['a function there is not', [{ sql: 'TRUE OR NOPE()' }], 'InvalidArgument', 'filters[0].sql'],
    ['sql that can give no Boolean', [{ sql: '1 + 1' }], 'InvalidArgument', 'filters[0].sql'],
    ['data that is no object', [{ data: '$.a' }], 'InvalidArgument', 'filters[0].data'],
  ])('refuses %s and names the place', (_, filters, code, field) => {
    const thrown = caught(() => compileFilters(filters as FilterSpec[]));
    expect(thrown.code).toBe(code);
    expect(thrown.details.field).toBe(field);
  });

  it('says where in an expression the fault lies, and what is crossed', () => {
    const refused = (sql: string) => caught(() => compileFilters([{ any: [{ sql }] }]));
    const syntax = refused('type = 1 1');
    expect(syntax.message).toContain('filters[0].any[0].sql: at character 10: an operator');
    expect(syntax.details.facts).toEqual({ position: '10' });
    expect(refused("TRUE AND LEN('x') = 1").message).toContain('at character 10: there is no LEN');
    expect(refused(' '.repeat(5000)).details.limit).toBe('4096 characters');
  });

  it('tells of each error by path and kind, and never throws', () => {
    const errors: string[] = [];
    const matches = compileFilters(
      [{ any: [{ sql: 'absent = 1' }, { sql: 'subject = 1' }, { sql: 'TRUE' }] }],
      { onError: (path, kind) => errors.push(`${path} ${kind}`) },
    );
    expect(matches(event)).toBe(true);
    expect(errors).toEqual([
      'filters[0].any[0].sql missingAttribute',
      'filters[0].any[1].sql cast',
    ]);
    // An attribute without a value, which no event that was checked can have.
    const broken = new EventView(Buffer.from([0x2a, 0x03, 0x0a, 0x01, 0x61]));
    expect(matches(broken)).toBe(false);
    expect(errors.at(-1)).toBe('filters generic');
  });

  it('bounds depth and number before it recurses', () => {
    let deep: FilterSpec = { exact: { id: '1' } };
    for (let i = 0; i < 20; i++) deep = { not: deep };
    expect(caught(() => compileFilters([deep])).details.limit).toBe('16 levels');
    const many = Array.from({ length: 257 }, (): FilterSpec => ({ exact: { id: '1' } }));
    expect(caught(() => compileFilters(many)).details.limit).toBe('256 filters');
  });
});

function caught(run: () => unknown): MeshError {
  try {
    run();
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
