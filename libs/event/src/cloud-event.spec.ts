import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MeshError } from '@eventmesh/errors';
import {
  EventView,
  checkEvent,
  encodeEvent,
  parseTimestamp,
  timestampText,
  type AttributeValue,
} from './index.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const value: fc.Arbitrary<AttributeValue> = fc.oneof(
  fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('integer' as const), value: fc.integer() }),
  fc.record({ kind: fc.constantFrom('string', 'uri', 'uri-reference'), value: text }),
  fc.record({
    kind: fc.constant('timestamp' as const),
    seconds: fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
  }),
);
const parts = fc.record({
  id: text,
  source: text,
  type: text,
  attributes: fc.dictionary(fc.stringMatching(/^[a-z0-9]{1,20}$/), value, { maxKeys: 6 }),
  data: fc.option(
    fc.record({
      kind: fc.constantFrom('binary', 'text', 'proto'),
      bytes: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    }),
    { nil: undefined },
  ),
});
type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never;

function encode(given: Parts): Buffer {
  const { data, attributes, ...rest } = given;
  const head = { ...rest, attributes: Object.entries(attributes) };
  return encodeEvent(data === undefined ? head : { ...head, data });
}

const minimal = { id: '1', source: '/s', type: 't' };
const field = (number: number, ...bytes: number[]): number[] => [
  (number << 3) | 2,
  bytes.length,
  ...bytes,
];
const HEAD = [...encodeEvent(minimal)];

describe('an attribute that is encoded', () => {
  const withAttribute = (name: string, given: AttributeValue) => () =>
    encodeEvent({ ...minimal, attributes: [[name, given]] });

  it.each([2 ** 31, -(2 ** 31) - 1, 2 ** 32 + 5, 1.5, NaN, Infinity, Number.MAX_SAFE_INTEGER + 1])(
    'refuses %d, which no integer of CloudEvents can be, and names attribute and way out',
    (given) => {
      const thrown = outcome(withAttribute('n', { kind: 'integer', value: given }));
      expect(thrown).toMatchObject({
        code: 'InvalidArgument',
        message: `n: ${given} is not an integer of CloudEvents; send it as a string`,
        details: { field: 'n', limit: '-2147483648 to 2147483647' },
      });
    },
  );

  it.each([2 ** 31 - 1, -(2 ** 31), 0, -1])('keeps the integer %d as it is', (given) => {
    const view = new EventView(withAttribute('n', { kind: 'integer', value: given })());
    expect(view.attributes.get('n')).toEqual({ kind: 'integer', value: given });
  });

  it('refuses a time that is none, and names the attribute', () => {
    const time = { kind: 'timestamp', seconds: NaN, nanos: NaN } as const;
    expect(outcome(withAttribute('time', time))).toMatchObject({
      message: 'time: is not a time',
      details: { field: 'time' },
    });
  });
});

describe('EventView', () => {
  it('reads back what encodeEvent wrote', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const view = new EventView(encode(given));
        expect([view.id, view.source, view.type]).toEqual([given.id, given.source, given.type]);
        expect(Object.fromEntries(view.attributes)).toEqual(given.attributes);
        expect(view.data).toEqual(given.data);
      }),
    );
  });

  it('refuses or reads every truncation, and never invents data', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const whole = encode(given);
        for (let end = 0; end < whole.length; end++) {
          const read = outcome(() => checkEvent(whole.subarray(0, end)));
          if (read instanceof MeshError) continue;
          // What is cut off between two fields is a shorter event; its data is whole or absent.
          expect(
            read.data === undefined || read.data.bytes.length === given.data?.bytes.length,
          ).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('survives random bytes and random damage', () => {
    fc.assert(
      fc.property(
        parts,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        (given, damage) => {
          const bytes = encode(given);
          for (const [at, byte] of damage) bytes[at % bytes.length] = byte;
          outcome(() => checkEvent(bytes));
        },
      ),
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        (bytes) => void outcome(() => checkEvent(bytes)),
      ),
    );
  });

  it.each<[string, number[]]>([
    ['a length beyond the message', [0x32, 0x05, 1]],
    ['a length of 2^53', [0x32, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ['a length of 2^63', [0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a varint of 11 bytes', [0x32, ...Array<number>(10).fill(0xff), 0x01]],
    ['a varint that does not end', [0x32, 0xff]],
    ['a group', [0x33]],
    ['wire type 7', [0x37, 0]],
    ['field number 0', [0x00, 0x00]],
    ['a tag beyond 32 bits', [0x8a, 0x80, 0x80, 0x80, 0x10, 0x01, 0x61]],
    ['a fixed64 that is cut', [0x79, 1, 2, 3]],
    ['a fixed32 that is cut', [0x7d, 1]],
    ['an id that is not UTF-8', field(1, 0xc3, 0x28)],
    ['an overlong id', field(1, 0xc0, 0xa0)],
    ['a surrogate in the id', field(1, 0xed, 0xa0, 0x80)],
    ['an attribute without a value', field(5, ...field(1, 0x61))],
    ['an attribute whose length leaves its entry', [...field(5, 0x0a, 0x02, 0x61), 0x61, 0x61]],
    ['a boolean that is read past its entry', field(5, ...field(1, 0x61), 0x12, 0x01, 0x08)],
    [
      'an integer of 11 bytes',
      field(5, ...field(1, 0x61), ...field(2, 0x10, ...Array<number>(10).fill(0xff), 0x01)),
    ],
    [
      'a timestamp beyond the year 9999',
      field(
        5,
        ...field(1, 0x61),
        ...field(2, ...field(7, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)),
      ),
    ],
    [
      'a timestamp with 2^30 nanoseconds',
      field(5, ...field(1, 0x61), ...field(2, ...field(7, 0x10, 0x80, 0x80, 0x80, 0x80, 0x04))),
    ],
  ])('refuses %s', (_, tail) => {
    expect(outcome(() => checkEvent(Buffer.from([...HEAD, ...tail])))).toBeInstanceOf(MeshError);
  });

  it('skips unknown fields of every wire type, even a ten-byte varint', () => {
    const tail = [0x78, ...Array<number>(9).fill(0xff), 0x01, 0x79, 1, 2, 3, 4, 5, 6, 7, 8];
    const view = checkEvent(Buffer.from([...HEAD, ...tail, 0x7a, 1, 0, 0x7d, 1, 2, 3, 4]));
    expect(view.id).toBe('1');
  });

  it('refuses attributes that cannot be read each time they are asked for', () => {
    const view = new EventView(Buffer.from([0x2a, 0x03, 0x0a, 0x01, 0x61]));
    expect(() => view.attributes).toThrow('a: has no value');
    expect(() => view.attributes).toThrow('a: has no value');
  });

  it('gives data as JSON, parsed once, and undefined for what is none', () => {
    const of = (text: string) =>
      new EventView(encodeEvent({ ...minimal, data: { kind: 'text', bytes: Buffer.from(text) } }));
    const view = of('{"a":[1]}');
    expect(view.json).toEqual({ a: [1] });
    expect(view.json).toBe(view.json);
    expect(of('null').json).toBeNull();
    expect(of('{').json).toBeUndefined();
    expect(new EventView(encodeEvent(minimal)).json).toBeUndefined();
  });

  it('shares its memory with the input: data is a view', () => {
    const bytes = encodeEvent({ ...minimal, data: { kind: 'binary', bytes: Buffer.from('abc') } });
    const view = new EventView(bytes);
    bytes[bytes.length - 1] = 0x7a;
    expect(Buffer.from(view.data?.bytes ?? []).toString()).toBe('abz');
  });
});

describe('checkEvent', () => {
  const string = (v: string): AttributeValue => ({ kind: 'string', value: v });
  it.each<[string, Parameters<typeof encodeEvent>[0], string]>([
    ['no id', { ...minimal, id: '' }, 'id'],
    ['no source', { ...minimal, source: '' }, 'source'],
    ['no type', { ...minimal, type: '' }, 'type'],
    ['no specversion', { ...minimal, specVersion: '' }, 'specversion'],
    ['another specversion', { ...minimal, specVersion: '0.3' }, 'specversion'],
    ['a control character', { ...minimal, id: 'a\u0007' }, 'id'],
    ['a noncharacter', { ...minimal, id: 'a\u{1ffff}' }, 'id'],
    ['an upper-case attribute', { ...minimal, attributes: [['Abc', string('x')]] }, 'Abc'],
    ['an attribute with a dash', { ...minimal, attributes: [['a-b', string('x')]] }, 'a-b'],
    ['a required attribute twice', { ...minimal, attributes: [['id', string('x')]] }, 'id'],
    ['data as an attribute', { ...minimal, attributes: [['data', string('x')]] }, 'data'],
    ['__proto__', { ...minimal, attributes: [['__proto__', string('x')]] }, '__proto__'],
    ['constructor', { ...minimal, attributes: [['constructor', string('x')]] }, 'constructor'],
    ['a reserved attribute', { ...minimal, attributes: [['meshhops', string('x')]] }, 'meshhops'],
    ['time as a string', { ...minimal, attributes: [['time', string('x')]] }, 'time'],
    [
      'an empty partition key',
      { ...minimal, attributes: [['partitionkey', string('')]] },
      'partitionkey',
    ],
  ])('refuses %s and names it', (_, given, name) => {
    const thrown = outcome(() => checkEvent(encodeEvent(given)));
    expect(thrown).toBeInstanceOf(MeshError);
    expect((thrown as MeshError).details.field).toBe(name);
  });

  it('refuses an oversize event before it reads it, naming the limit', () => {
    const thrown = outcome(() =>
      checkEvent(Buffer.alloc(11, 0xff), { eventBytesMax: 10, attributesMax: 1 }),
    );
    expect(thrown).toMatchObject({ code: 'PayloadTooLarge', details: { limit: '10 bytes' } });
  });

  it('refuses too many attributes without decoding one', () => {
    const broken = Array.from({ length: 65 }, () => field(5, 0xff)).flat();
    expect(outcome(() => checkEvent(Buffer.from([...HEAD, ...broken])))).toMatchObject({
      details: { field: 'attributes', limit: '64 attributes' },
    });
  });

  it('shortens a hostile name in its answer', () => {
    const given = {
      ...minimal,
      attributes: [['x'.repeat(100_000), string('x')]] as [string, AttributeValue][],
    };
    expect(
      (outcome(() => checkEvent(encodeEvent(given))) as MeshError).message.length,
    ).toBeLessThan(200);
  });
});

describe('encodeEvent', () => {
  it('refuses a lone surrogate instead of changing it', () => {
    expect(outcome(() => encodeEvent({ ...minimal, id: '\ud800' }))).toBeInstanceOf(MeshError);
  });
});

describe('timestamps', () => {
  it.each([
    ['2018-04-05T17:31:00Z', '2018-04-05T17:31:00Z'],
    ['2018-04-05t17:31:00z', '2018-04-05T17:31:00Z'],
    ['2018-04-05T17:31:00.5+02:00', '2018-04-05T15:31:00.500Z'],
    ['2018-04-05T17:31:00.123456789Z', '2018-04-05T17:31:00.123456789Z'],
    ['1969-12-31T23:59:59.25Z', '1969-12-31T23:59:59.250Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00Z'],
  ])('reads %s as %s', (given, canonical) => {
    const { seconds, nanos } = parseTimestamp(given, 'time');
    expect(timestampText(seconds, nanos)).toBe(canonical);
  });

  it.each([
    '',
    '2018-04-05',
    '2018-04-05T17:31Z',
    '2018-04-05T17:31:00',
    '2023-02-29T00:00:00Z',
    '2018-13-01T00:00:00Z',
    '2018-04-31T00:00:00Z',
    '2018-04-05T24:00:00Z',
    '2018-04-05T17:60:00Z',
    '2018-04-05T17:31:00+24:00',
    '0001-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    ' 2018-04-05T17:31:00Z',
  ])('refuses %j and names the field', (given) => {
    const thrown = outcome(() => parseTimestamp(given, 'time'));
    expect((thrown as MeshError).details.field).toBe('time');
  });
});

/** The result, or the MeshError that was thrown; any other error fails the test. */
function outcome<T>(run: () => T): T | MeshError {
  try {
    return run();
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
}
