import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MeshError } from '@eventmesh/errors';
import {
  EventView,
  atomicFault,
  attributeText,
  checkEvent,
  decodeJsonBatch,
  decodeJsonEvent,
  encodeEvent,
  encodeJsonBatch,
  encodeJsonEvent,
  isJsonText,
  parseStrictJson,
  type AttributeValue,
  type EventData,
} from './index.ts';

const head = '"specversion":"1.0","id":"1","source":"/s","type":"t"';
const decode = (members: string): EventView =>
  new EventView(decodeJsonEvent(Buffer.from(`{${head}${members}}`)));
const dataText = (view: EventView): string => Buffer.from(view.data?.bytes ?? []).toString();

describe('decodeJsonEvent', () => {
  it.each([
    '{"a": 1,  "a" : 2}',
    ' [1, 2.50, 1e400, -0]'.trim(),
    '"\\u0041\\ud800"',
    '12345678901234567890123',
    'null',
    '{"__proto__":{"x":1}}',
    '"🌍"',
  ])('keeps JSON data byte for byte: %s', (raw) => {
    const view = decode(`, "datacontenttype":"application/json", "data" :  ${raw} `);
    expect(dataText(view)).toBe(raw);
    expect(view.data?.kind).toBe('text');
  });

  it('takes data without a content type as JSON and says so (JSON format, 3.1.2)', () => {
    const view = decode(',"data":"just a string"');
    expect(view.text('datacontenttype')).toBe('application/json');
    expect(dataText(view)).toBe('"just a string"');
  });

  it('takes string data of another content type as its text, whatever the order of members', () => {
    const view = decode(',"data":"<a b=\\"c\\"/>\\u00e9","datacontenttype":"application/xml"');
    expect(dataText(view)).toBe('<a b="c"/>é');
  });

  it('reads data_base64 as bytes', () => {
    const view = decode(',"data_base64":"AP8="');
    expect(view.data).toEqual({ kind: 'binary', bytes: Buffer.from([0, 255]) });
  });

  it('takes attribute types from JSON types, time as a timestamp, null as absent', () => {
    const view = decode(
      ',"s":"x","i":-2147483648,"b":false,"n":null,"time":"2018-04-05T17:31:00Z"',
    );
    expect(Object.fromEntries(view.attributes)).toEqual({
      s: { kind: 'string', value: 'x' },
      i: { kind: 'integer', value: -2147483648 },
      b: { kind: 'boolean', value: false },
      time: { kind: 'timestamp', seconds: 1522949460, nanos: 0 },
    });
  });

  it.each<[string, string, string]>([
    ['a number beyond 32 bits', `{${head},"n":2147483648}`, 'n'],
    ['a fraction', `{${head},"n":1.0}`, 'n'],
    ['an exponent', `{${head},"n":1e2}`, 'n'],
    ['an object as an attribute', `{${head},"o":{}}`, 'o'],
    ['an array as an attribute', `{${head},"o":[1]}`, 'o'],
    ['a numeric id', '{"specversion":"1.0","id":1,"source":"/s","type":"t"}', 'id'],
    ['a member twice', `{${head},"id":"2"}`, 'id'],
    ['a member twice, once escaped', `{${head},"\\u0069d":"2"}`, 'id'],
    ['__proto__', `{${head},"__proto__":"x"}`, '__proto__'],
    ['__proto__, escaped', `{${head},"\\u005f_proto__":"x"}`, '__proto__'],
    ['constructor', `{${head},"constructor":"x"}`, 'constructor'],
    ['prototype', `{${head},"prototype":"x"}`, 'prototype'],
    ['a lone surrogate', `{${head},"s":"\\ud800"}`, 's'],
    ['a lone surrogate in a name', `{${head},"\\udc00":"x"}`, 'json'],
    ['a bad time', `{${head},"time":"yesterday"}`, 'time'],
    ['a numeric time', `{${head},"time":1}`, 'time'],
    ['data beside data_base64', `{${head},"data":1,"data_base64":""}`, 'data_base64'],
    ['data_base64 that is none', `{${head},"data_base64":"a"}`, 'data_base64'],
    ['data_base64 for URLs', `{${head},"data_base64":"__8="}`, 'data_base64'],
    ['a numeric data_base64', `{${head},"data_base64":5}`, 'data_base64'],
    ['object data that is not JSON', `{${head},"datacontenttype":"text/plain","data":{}}`, 'data'],
    [
      'text data with a lone surrogate',
      `{${head},"datacontenttype":"text/plain","data":"\\ud800"}`,
      'data',
    ],
    ['an array', '[]', 'json'],
    ['nothing', '', 'json'],
    ['white space', ' \n', 'json'],
    ['a second value', `{${head}} {}`, 'json'],
    ['a trailing comma', `{${head},}`, 'json'],
    ['single quotes', "{'id':'1'}", 'json'],
    ['a comment', `{${head}/* */}`, 'json'],
    ['a byte order mark', `\ufeff{${head}}`, 'json'],
    ['a raw control character', `{${head},"s":"\u0001"}`, 's'],
    ['an unknown escape', `{${head},"s":"\\x41"}`, 's'],
    ['a short escape', `{${head},"s":"\\u00"}`, 's'],
    ['an unfinished string', `{${head},"s":"`, 's'],
    ['an unfinished object', `{${head}`, 'json'],
    ['a leading zero', `{${head},"data":01}`, 'json'],
    ['a bare minus', `{${head},"data":-}`, 'json'],
    ['a bare point', `{${head},"data":1.}`, 'json'],
    ['NaN', `{${head},"data":NaN}`, 'json'],
    ['mismatched brackets', `{${head},"data":[1}}`, 'json'],
    ['a word cut short', `{${head},"data":tru`, 'json'],
  ])('refuses %s and names it', (_, text, field) => {
    const thrown = outcome(() => decodeJsonEvent(Buffer.from(text)));
    expect(thrown).toBeInstanceOf(MeshError);
    expect((thrown as MeshError).details.field).toBe(field);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('refuses text that is not UTF-8', () => {
    const bytes = Buffer.concat([
      Buffer.from(`{${head},"s":"`),
      Buffer.from([0xc0, 0xa0]),
      Buffer.from('"}'),
    ]);
    expect(outcome(() => decodeJsonEvent(bytes))).toMatchObject({ details: { field: 'json' } });
  });

  it('refuses nesting and members beyond the limit, naming it, without using the stack', () => {
    const deep = `{${head},"data":${'['.repeat(500_000)}`;
    expect(outcome(() => decodeJsonEvent(Buffer.from(deep)))).toMatchObject({
      details: { limit: '512 levels' },
    });
    const many = Array.from({ length: 97 }, (_, n) => `"a${n}":1`).join();
    expect(outcome(() => decodeJsonEvent(Buffer.from(`{${many}}`)))).toMatchObject({
      details: { limit: '96 members' },
    });
  });
});

describe('the scanner', () => {
  it('accepts exactly what JSON.parse accepts', () => {
    const json = fc.json({ maxDepth: 4 });
    const damaged = fc.tuple(
      json,
      fc.nat(),
      fc.constantFrom('', ',', '"', '}', '0', '\\', 'e', ' ', '-'),
    );
    fc.assert(fc.property(json, (text) => isJsonText(Buffer.from(text))));
    fc.assert(
      fc.property(damaged, ([text, at, change]) => {
        const place = at % (text.length + 1);
        const changed = text.slice(0, place) + change + text.slice(place + 1);
        expect(isJsonText(Buffer.from(changed))).toBe(parses(changed));
      }),
      { numRuns: 2000 },
    );
  });

  it('reads values as JSON.parse does, but refuses what poisons', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = JSON.stringify(value);
        if (/__proto__|constructor|prototype/.test(text)) return;
        expect(parseStrictJson(Buffer.from(text))).toEqual(JSON.parse(text));
      }),
    );
    expect(outcome(() => parseStrictJson(Buffer.from('{"a":{"__proto__":{}}}')))).toBeInstanceOf(
      MeshError,
    );
    expect(outcome(() => parseStrictJson(Buffer.from('{"a":1,"a":2}')))).toBeInstanceOf(MeshError);
    expect(outcome(() => parseStrictJson(Buffer.from('['.repeat(40))))).toMatchObject({
      details: { limit: '32 levels' },
    });
  });
});

describe('encodeJsonEvent', () => {
  const minimal = { id: '1', source: '/s', type: 't' };
  const type = (value: string): [string, AttributeValue][] => [
    ['datacontenttype', { kind: 'string', value }],
  ];
  const json = (data: EventData | undefined, contentType?: string): Record<string, unknown> =>
    JSON.parse(
      encodeJsonEvent(
        new EventView(
          encodeEvent({
            ...minimal,
            attributes: contentType === undefined ? [] : type(contentType),
            ...(data === undefined ? {} : { data }),
          }),
        ),
      ).toString(),
    ) as Record<string, unknown>;
  const data = (kind: EventData['kind'], text: string): EventData => ({
    kind,
    bytes: Buffer.from(text),
  });

  it.each<[string, EventData, string | undefined, Record<string, unknown>]>([
    [
      'bytes that are JSON and say so',
      data('binary', '{"a":1}'),
      'application/json',
      { data: { a: 1 } },
    ],
    ['JSON by suffix', data('text', '[1]'), 'application/vnd.x+JSON; v=1', { data: [1] }],
    ['broken JSON', data('text', '{a'), 'application/json', { data_base64: 'e2E=' }],
    ['text', data('text', 'é'), 'text/plain', { data: 'é' }],
    ['bytes of a text type', data('binary', 'é'), 'text/plain', { data: 'é' }],
    ['bytes of an image', data('binary', 'é'), 'image/png', { data_base64: 'w6k=' }],
    ['bytes without a type', data('binary', '{}'), undefined, { data_base64: 'e30=' }],
    ['text without a type that is JSON', data('text', '{}'), undefined, { data: {} }],
    ['text without a type that is not', data('text', 'hi'), undefined, { data_base64: 'aGk=' }],
    ['protobuf data', data('proto', 'x'), undefined, { data_base64: 'eA==' }],
    [
      'Latin-1 text',
      { kind: 'binary', bytes: Buffer.from([0xe9]) },
      'text/plain',
      { data_base64: '6Q==' },
    ],
    ['UTF-16 text', data('binary', 'ab'), 'text/plain; charset="UTF-16"', { data_base64: 'YWI=' }],
  ])('writes %s in the form that keeps its bytes', (_, given, contentType, expected) => {
    const { data: plain, data_base64: base64 } = json(given, contentType);
    const got = base64 === undefined ? { data: plain } : { data_base64: base64 };
    expect(got).toEqual(expected);
  });

  it('writes no data member for no data', () => {
    expect(Object.keys(json(undefined))).toEqual(['specversion', 'id', 'source', 'type']);
  });

  const text = fc.string({ unit: 'grapheme', maxLength: 20 });
  const value: fc.Arbitrary<AttributeValue> = fc.oneof(
    fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
    fc.record({ kind: fc.constant('integer' as const), value: fc.integer() }),
    fc.record({ kind: fc.constant('string' as const), value: text }),
  );
  const name = fc
    .stringMatching(/^[a-z0-9]{1,20}$/)
    .filter(
      (n) => !['id', 'source', 'type', 'data', 'time', 'constructor', 'prototype'].includes(n),
    );
  const event = fc
    .record({
      id: text,
      source: text,
      type: text,
      attributes: fc.dictionary(name, value, { maxKeys: 5 }),
      contentType: fc.constantFrom(undefined, 'application/json', 'text/plain', 'image/png'),
      kind: fc.constantFrom<EventData['kind']>('binary', 'text'),
      data: fc.oneof(
        fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
        fc.json({ maxDepth: 3 }).map((json) => Buffer.from(json)),
        text.map((plain) => Buffer.from(plain)),
      ),
    })
    .map(({ attributes, contentType, kind, data, ...rest }) => {
      const list: [string, AttributeValue][] = Object.entries(attributes);
      if (contentType !== undefined) list.push(...type(contentType));
      return encodeEvent({ ...rest, attributes: list, data: { kind, bytes: data } });
    });

  it('gives every event back: attributes with their types, data byte for byte', () => {
    fc.assert(
      fc.property(event, (encoded) => {
        const before = new EventView(encoded);
        const after = new EventView(decodeJsonEvent(encodeJsonEvent(before)));
        expect([after.id, after.source, after.type]).toEqual([
          before.id,
          before.source,
          before.type,
        ]);
        for (const [key, kept] of before.attributes)
          expect(after.attributes.get(key)).toEqual(kept);
        expect(after.data?.bytes).toEqual(trimmed(before));
      }),
      { numRuns: 500 },
    );
  });

  it('gives batches back in order', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), (events) => {
        const views = events.map((encoded) => new EventView(encoded));
        const back = decodeJsonBatch(encodeJsonBatch(views)).map(
          (one) => new EventView(one as Buffer),
        );
        expect(back.map(({ id }) => id)).toEqual(views.map(({ id }) => id));
      }),
    );
  });

  it('keeps the canonical string of uri, bytes and timestamp', () => {
    const attributes: [string, AttributeValue][] = [
      ['dataschema', { kind: 'uri', value: 'http://x/y' }],
      ['blob', { kind: 'bytes', value: Buffer.from([255]) }],
      ['time', { kind: 'timestamp', seconds: 0, nanos: 5_000_000 }],
    ];
    const view = new EventView(encodeEvent({ ...minimal, attributes }));
    expect(JSON.parse(encodeJsonEvent(view).toString())).toMatchObject(
      Object.fromEntries(attributes.map(([key, kept]) => [key, attributeText(kept)])),
    );
  });
});

describe('atomicFault', () => {
  it('names the place of the event at fault, and says that all are refused', () => {
    const fault = new MeshError('InvalidArgument', 'type: is missing', { field: 'type' });
    expect(atomicFault([undefined, fault, fault])).toMatchObject({
      code: 'InvalidArgument',
      message: 'the atomic batch is refused as a whole: events[1]: type: is missing',
      details: { field: 'events[1].type' },
    });
    expect(atomicFault([undefined])).toBeUndefined();
  });
});

describe('decodeJsonBatch', () => {
  it('answers for each event: a faulty one does not spoil the others', () => {
    const [first, second, third] = decodeJsonBatch(
      Buffer.from(`[{${head}}, {"id":5}, {${head},"n":1.5}]`),
    );
    expect(checkEvent(first as Buffer).id).toBe('1');
    expect(second).toMatchObject({ details: { field: 'events[1].id' } });
    expect(third).toMatchObject({ details: { field: 'events[2].n' } });
  });

  it.each(['{}', '[', '[1,]', '[{}}', ''])('refuses %j as a whole', (text) => {
    expect(outcome(() => decodeJsonBatch(Buffer.from(text)))).toMatchObject({
      details: { field: 'json' },
    });
  });

  it('accepts the empty batch and bounds the number of events', () => {
    expect(decodeJsonBatch(Buffer.from(' [ ] '))).toEqual([]);
    const many = Buffer.from(`[${'1,'.repeat(1000)}1]`);
    expect(outcome(() => decodeJsonBatch(many))).toMatchObject({
      details: { limit: '1000 items' },
    });
  });
});

/** Embedding JSON drops the white space round it, and nothing else. */
function trimmed(view: EventView): Buffer {
  const bytes = Buffer.from(view.data?.bytes ?? []);
  const type = view.text('datacontenttype');
  const asJson = type === 'application/json' || (type === undefined && view.data?.kind === 'text');
  return asJson && isJsonText(bytes)
    ? Buffer.from(bytes.toString().replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ''))
    : bytes;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function outcome<T>(run: () => T): T | MeshError {
  try {
    return run();
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
}
