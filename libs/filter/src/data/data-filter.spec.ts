import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { MeshError } from '@eventmesh/errors';
import { EventView, encodeEvent, type AttributeValue, type EventData } from '@eventmesh/event';
import { compileFilters, type DataFilterSpec, type FilterSpec } from '../index.ts';

const order = {
  id: 'A-17',
  total: 99.5,
  paid: false,
  coupon: null,
  lines: [
    { sku: 'x-1', count: 2 },
    { sku: 'y-2', count: 40 },
  ],
  tags: [],
  'odd name': { "it's": 1, 'a"b': 2, 'new\nline': 3 },
  größe: 'L',
};

describe('a data filter', () => {
  it.each<[string, DataFilterSpec, boolean]>([
    ['equals a string', { path: '$.id', equals: 'A-17' }, true],
    ['equals another string', { path: '$.id', equals: 'a-17' }, false],
    ['equals a number', { path: '$.total', equals: 99.5 }, true],
    ['equals no number by its text', { path: '$.total', equals: '99.5' }, false],
    ['equals false', { path: '$.paid', equals: false }, true],
    ['equals null', { path: '$.coupon', equals: null }, true],
    ['tells null from nothing', { path: '$.nowhere', equals: null }, false],
    ['prefix', { path: '$.id', prefix: 'A-' }, true],
    ['suffix', { path: '$.id', suffix: '17' }, true],
    ['prefix of a number', { path: '$.total', prefix: '9' }, false],
    ['less', { path: '$.total', less: 100 }, true],
    ['less is strict', { path: '$.total', less: 99.5 }, false],
    ['greater', { path: '$.total', greater: 99 }, true],
    ['greater of a string', { path: '$.id', greater: 0 }, false],
    ['exists', { path: '$.coupon', exists: true }, true],
    ['exists of the whole', { path: '$', exists: true }, true],
    ['exists of nothing', { path: '$.nowhere', exists: true }, false],
    ['an item', { path: '$.lines[1].sku', equals: 'y-2' }, true],
    ['an item beyond the end', { path: '$.lines[2]', exists: true }, false],
    ['some item', { path: '$.lines[*].count', greater: 10 }, true],
    ['no item', { path: '$.lines[*].count', greater: 50 }, false],
    ['items of an empty list', { path: '$.tags[*]', exists: true }, false],
    ['some member', { path: '$[*]', equals: 99.5 }, true],
    ['two wildcards', { path: '$.lines[*][*]', equals: 'x-1' }, true],
    ['a name in quotes', { path: "$['id']", equals: 'A-17' }, true],
    ['escapes in quotes', { path: "$['odd name']['it\\'s']", equals: 1 }, true],
    ['the other quotes', { path: '$["odd name"]["a\\"b"]', equals: 2 }, true],
    ['JSON escapes', { path: "$['odd name']['new\\nline']", equals: 3 }, true],
    ['a name beyond ASCII', { path: '$.größe', equals: 'L' }, true],
    ['a number in quotes is a name', { path: "$.lines['0']", exists: true }, false],
    ['an index of an object', { path: '$.lines[0][0]', exists: true }, false],
    ['the length of a list', { path: "$.lines['length']", exists: true }, false],
    ['a member of a scalar', { path: '$.id.length', exists: true }, false],
    ['what objects inherit', { path: '$.constructor', exists: true }, false],
    ['the prototype', { path: '$.__proto__', exists: true }, false],
  ])('%s', (_, data, expected) => {
    expect(matches(data, JSON.stringify(order))).toBe(expected);
  });

  it('reads __proto__ like any other member', () => {
    const json = '{"__proto__":{"admin":true}}';
    expect(matches({ path: '$.__proto__.admin', equals: true }, json)).toBe(true);
    expect(matches({ path: '$.admin', exists: true }, json)).toBe(false);
  });

  it.each<[string, string | Buffer, string | undefined, boolean]>([
    ['application/json', '1', 'application/json; charset=utf-8', true],
    ['a +json type', '1', 'Application/Vnd.X+JSON', true],
    ['no content type', '1', undefined, true],
    ['another content type', '1', 'text/plain', false],
    ['no JSON', '{', 'application/json', false],
    ['no JSON without a content type', 'hello', undefined, false],
    ['what is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), undefined, false],
    ['nothing', '', 'application/json', false],
    ['256 KiB', `"${'x'.repeat(256 * 1024 - 2)}"`, undefined, true],
    ['a byte more', `"${'x'.repeat(256 * 1024 - 1)}"`, undefined, false],
    ['very deep nesting', '['.repeat(131_072) + ']'.repeat(131_072), undefined, true],
  ])('takes data for JSON by content type, content and size: %s', (_, text, type, expected) => {
    expect(matches({ path: '$', exists: true }, text, type)).toBe(expected);
  });

  it('is false for protobuf data', () => {
    const data = { kind: 'proto', bytes: Buffer.from('1') } as const;
    expect(compileFilters([{ data: { path: '$', exists: true } }])(eventOf(data))).toBe(false);
  });

  it('parses the data once for all filters that ask', () => {
    const parse = jest.spyOn(JSON, 'parse');
    try {
      const event = eventOf({ kind: 'text', bytes: Buffer.from('{"a":1}') });
      const filter: FilterSpec = { data: { path: '$.a', equals: 1 } };
      const all = [compileFilters([filter, filter]), compileFilters([{ not: filter }])];
      parse.mockClear();
      expect(all.map((one) => one(event))).toEqual([true, false]);
      expect(parse).toHaveBeenCalledTimes(1);
    } finally {
      parse.mockRestore();
    }
  });

  it('finds by path what stands there, in any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const json = JSON.stringify(value);
        for (const [path, leaf] of leavesOf(JSON.parse(json))) {
          if (path.length > 256) continue;
          expect(matches({ path, equals: leaf }, json)).toBe(true);
          expect(matches({ path, equals: 'no such value' }, json)).toBe(leaf === 'no such value');
        }
      }),
    );
  });
});

describe('what is no data filter', () => {
  it.each<[string, unknown, string, string]>([
    ['no test', { path: '$' }, '.data', 'exactly one of equals'],
    ['two tests', { path: '$', equals: 1, less: 2 }, '.data', 'exactly one of equals'],
    ['an unknown test', { path: '$', like: 'x' }, '.data.like', 'is not one of equals'],
    ['no path', { equals: 1 }, '.data.path', 'must be a path'],
    ['a path without $', { path: 'a', equals: 1 }, '.data.path', 'at character 1'],
    ['descendants', { path: '$..a', equals: 1 }, '.data.path', 'at character 2'],
    ['a slice', { path: '$.a[0:2]', equals: 1 }, '.data.path', 'at character 4'],
    ['a filter', { path: '$.a[?@.b]', equals: 1 }, '.data.path', 'at character 4'],
    ['an index from the end', { path: '$[-1]', equals: 1 }, '.data.path', 'at character 2'],
    ['a leading zero', { path: '$[01]', equals: 1 }, '.data.path', 'at character 2'],
    ['a blank', { path: '$. a', equals: 1 }, '.data.path', 'at character 2'],
    ['an unknown escape', { path: "$['\\x']", equals: 1 }, '.data.path', 'an escape'],
    ['a long path', { path: `$.${'a'.repeat(256)}`, equals: 1 }, '.data.path', '258 characters'],
    ['equals a list', { path: '$', equals: [1] }, '.data.equals', 'must be a string, a number'],
    ['a long text', { path: '$', equals: 'x'.repeat(4097) }, '.data.equals', 'too long'],
    ['an empty prefix', { path: '$', prefix: '' }, '.data.prefix', 'non-empty'],
    ['a suffix that is no text', { path: '$', suffix: 1 }, '.data.suffix', 'non-empty'],
    ['less than a text', { path: '$', less: '1' }, '.data.less', 'must be a number'],
    ['greater than NaN', { path: '$', greater: NaN }, '.data.greater', 'must be a number'],
    ['exists: false', { path: '$', exists: false }, '.data.exists', 'use a not filter'],
    ['a list', [], '.data', 'must be an object'],
  ])('is refused with its place: %s', (_, data, field, message) => {
    const error = refusal(data);
    expect(error.details.field).toBe(`filters[0]${field}`);
    expect(error.message).toContain(message);
  });

  it('is any text that is no path, and nothing else is thrown', () => {
    const unit = fc.constantFrom('$', '.', 'a', '[', ']', "'", '"', '\\', '0', '*', 'u', 'é');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (path) => {
        try {
          compileFilters([{ data: { path: `$${path}`, exists: true } }]);
        } catch (error) {
          expect(error).toBeInstanceOf(MeshError);
        }
      }),
    );
  });
});

function refusal(data: unknown): MeshError {
  try {
    compileFilters([{ data } as FilterSpec]);
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function matches(data: DataFilterSpec, json: string | Buffer, contentType?: string): boolean {
  const event = eventOf({ kind: 'binary', bytes: Buffer.from(json) }, contentType);
  return compileFilters([{ data }])(event);
}

function eventOf(data: EventData, contentType?: string): EventView {
  const attributes: [string, AttributeValue][] =
    contentType === undefined ? [] : [['datacontenttype', { kind: 'string', value: contentType }]];
  return new EventView(encodeEvent({ id: '1', source: 's', type: 't', attributes, data }));
}

type Leaf = string | number | boolean | null;

function* leavesOf(value: unknown, path = '$'): Generator<[string, Leaf]> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* leavesOf(item, `${path}[${index}]`);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      yield* leavesOf(member, `${path}[${JSON.stringify(name)}]`);
    }
  } else yield [path, value as Leaf];
}
