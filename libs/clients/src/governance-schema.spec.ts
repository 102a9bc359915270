import { describe, expect, it } from '@jest/globals';
import { compileSchema } from './governance-schema.ts';

const compile = (schema: unknown) => compileSchema(JSON.stringify(schema));
const nested = (depth: number, inner: unknown): unknown =>
  depth === 0 ? inner : { not: nested(depth - 1, inner) };

describe('compileSchema', () => {
  it('checks data and says where it is wrong', () => {
    const check = compile({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: 'https://example.com/order',
      type: 'object',
      required: ['id', 'items'],
      properties: {
        id: { type: 'string', pattern: '^[A-Z]{2}\\d+$' },
        items: { type: 'array', items: { $ref: '#/$defs/item' } },
        at: { format: 'date-time' },
      },
      $defs: { item: { $anchor: 'item', type: 'object', properties: { n: { minimum: 1 } } } },
      unknownKeyword: 1,
    });
    expect(check({ id: 'AB12', items: [{ n: 1 }], at: '2026-01-01T00:00:00Z' })).toBeUndefined();
    expect(check({ id: 'ab12', items: [] })).toMatch(/^data\/id must match pattern/);
    expect(check({ id: 'AB1', items: [{ n: 0 }] })).toMatch(/^data\/items\/0\/n must be >= 1/);
    expect(check({ id: 'AB1', items: [], at: 'yesterday' })).toMatch(/data\/at .*date-time/);
    expect(check({})).toMatch(/required property/);
    expect(check(JSON.parse('{"__proto__":{"id":"AB1"},"items":[]}'))).toMatch(/required property/);
  });

  it.each<[string, unknown, RegExp]>([
    ['a list', [], /must be a JSON object/],
    ['a wrong keyword value', { type: 'strnig' }, /not a JSON Schema/],
    ['another draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, /\$schema must be/],
    ['a remote reference', { $ref: 'https://example.com/x' }, /must begin with #/],
    ['a relative reference', { properties: { a: { $ref: 'x.json' } } }, /must begin with #/],
    ['a reference to nothing', { $ref: '#/$defs/x' }, /not a schema of this document/],
    ['a reference out of the schema', { $ref: '#/x', x: {} }, /not a schema of this document/],
    ['a nested $id', { properties: { a: { $id: 'x' } } }, /at the top only/],
    ['a look-ahead', { pattern: '(?=a)' }, /look-around/],
    ['a back-reference', { pattern: '(a)\\1' }, /back-references/],
    ['a broken pattern', { pattern: '(' }, /json_schema/],
    ['too deep nesting', nested(40, {}), /levels of nesting/],
    ['too many subschemas', { anyOf: Array.from({ length: 2100 }, () => ({})) }, /subschemas/],
    ['unique items without bound', { uniqueItems: true }, /maxItems/],
    ['a schema that is none', { properties: { a: 5 } }, /must be a schema/],
  ])('refuses %s', (_, schema, message) => {
    expect(() => compile(schema)).toThrow(message);
    expect(() => compile(schema)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ field: 'json_schema' }) }),
    );
  });

  it('refuses what is not JSON, names of the prototype, and more bytes than allowed', () => {
    expect(() => compileSchema('{')).toThrow(/is not JSON/);
    expect(() => compileSchema('{"properties":{"__proto__":{}}}')).toThrow(/__proto__/);
    expect(() => compileSchema(`{"description":"${'x'.repeat(70_000)}"}`)).toThrow(
      expect.objectContaining({ code: 'PayloadTooLarge' }),
    );
  });

  it.each<[string, unknown, () => unknown]>([
    [
      'references that double at each step',
      {
        $ref: '#/$defs/d0',
        $defs: Object.fromEntries(
          Array.from({ length: 30 }, (_, n) => {
            const next = n === 29 ? { type: 'number' } : { $ref: `#/$defs/d${n + 1}` };
            return [`d${n}`, { allOf: [next, next] }];
          }),
        ),
      },
      () => 1,
    ],
    ['a reference to itself', { $defs: { a: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' }, () => 1],
    [
      'recursion that doubles with the depth of the data',
      { allOf: [{ properties: { a: { $ref: '#' } } }, { properties: { a: { $ref: '#' } } }] },
      () => JSON.parse('{"a":'.repeat(40) + '1' + '}'.repeat(40)) as unknown,
    ],
    ['a pattern that backtracks', { pattern: '^(a+)+$' }, () => `${'a'.repeat(60_000)}!`],
    [
      'many patterns on many names',
      {
        patternProperties: Object.fromEntries(
          Array.from({ length: 200 }, (_, n) => [`.*${n}$`, {}]),
        ),
      },
      () => Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`name-${n}`, n])),
    ],
  ])('answers in bounded time on %s', (_, schema, data) => {
    const check = compile(schema);
    const value = data();
    check(1);
    const from = performance.now();
    check(value);
    expect(performance.now() - from).toBeLessThan(500);
  });
});
