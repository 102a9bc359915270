import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { MemoryMesh } from '@eventmesh/testing';
import type { Problem } from './index.ts';
import { call, makeAdapter, raw, type Call } from './testing/http-client.ts';

const EVENT_BYTES_MAX = 64 * 1024;

const ce = {
  'ce-specversion': '1.0',
  'ce-id': '1',
  'ce-source': '/s',
  'ce-type': 't',
};
const head = '"specversion":"1.0","id":"1","source":"/s","type":"t"';
const topic = '/v1/topics/orders';
const json = { 'content-type': 'application/cloudevents+json' };
const batch = { 'content-type': 'application/cloudevents-batch+json' };
const without = (name: keyof typeof ce): Record<string, string> =>
  Object.fromEntries(Object.entries(ce).filter(([key]) => key !== name));
const binary = (headers: Record<string, string | string[]>): Call => ({
  path: topic,
  body: 'x',
  headers: { ...ce, ...headers },
});
const structured = (body: string | Buffer): Call => ({ path: topic, headers: json, body });
const at = (path: string): Call => ({ path, headers: ce, body: 'x' });
const subscription = (body: unknown): Call => ({
  path: '/v1/subscriptions',
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const settle = (body: unknown): Call => ({
  path: '/v1/subscriptions/work/settle',
  body: JSON.stringify(body),
});
const spec = { name: 'n', topicFilters: ['a'] };

/** Title, call, status, the field that is named. */
const CASES: readonly (readonly [string, Call, number, string])[] = [
  // Binary mode
  [
    'no ce-specversion',
    { path: topic, headers: without('ce-specversion'), body: 'x' },
    400,
    'ce-specversion',
  ],
  ['no ce-id', { path: topic, headers: without('ce-id'), body: 'x' }, 400, 'ce-id'],
  ['no ce-source', { path: topic, headers: without('ce-source'), body: 'x' }, 400, 'ce-source'],
  ['no ce-type', { path: topic, headers: without('ce-type'), body: 'x' }, 400, 'ce-type'],
  ['an unknown ce-specversion', binary({ 'ce-specversion': '0.3' }), 400, 'ce-specversion'],
  ['an empty ce-id', binary({ 'ce-id': '' }), 400, 'ce-id'],
  ['ce-id twice', binary({ 'ce-id': ['1', '2'] }), 400, 'ce-id'],
  ['an extension twice', binary({ 'ce-x': ['1', '1'] }), 400, 'ce-x'],
  ['ce-time that is none', binary({ 'ce-time': 'now' }), 400, 'ce-time'],
  ['ce-time of 30 February', binary({ 'ce-time': '2024-02-30T00:00:00Z' }), 400, 'ce-time'],
  ['ce-datacontenttype', binary({ 'ce-datacontenttype': 'text/plain' }), 400, 'ce-datacontenttype'],
  ['ce-data', binary({ 'ce-data': 'x' }), 400, 'data'],
  ['an overlong escape', binary({ 'ce-x': '%C0%A0' }), 400, 'ce-x'],
  ['an escaped surrogate', binary({ 'ce-x': '%ED%A0%80' }), 400, 'ce-x'],
  // Before a body of bytes Node writes headers as they are.
  [
    'raw bytes that are not UTF-8',
    { ...binary({ 'ce-x': 'a\u00ff' }), body: Buffer.from('x') },
    400,
    'ce-x',
  ],
  ['an escaped zero byte', binary({ 'ce-x': 'a%00' }), 400, 'ce-x'],
  ['an escaped line break', binary({ 'ce-x': 'a%0d%0aevil: 1' }), 400, 'ce-x'],
  ['a noncharacter', binary({ 'ce-x': '%EF%BF%BF' }), 400, 'ce-x'],
  ['an attribute name with a dash', binary({ 'ce-a-b': 'x' }), 400, 'a-b'],
  ['an attribute name with an underscore', binary({ 'ce-a_b': 'x' }), 400, 'a_b'],
  ['an attribute name without a letter', binary({ 'ce-': 'x' }), 400, ''],
  ['ce-__proto__', binary({ 'ce-__proto__': 'x' }), 400, '__proto__'],
  ['ce-constructor', binary({ 'ce-constructor': 'x' }), 400, 'ce-constructor'],
  ['a reserved attribute', binary({ 'ce-meshhops': '9' }), 400, 'ce-meshhops'],
  ['a reserved attribute in capitals', binary({ 'CE-MESHHOPS': '9' }), 400, 'ce-meshhops'],
  ['a reserved header', binary({ 'eventmesh-position': '9' }), 400, 'eventmesh-position'],
  ['a reserved header in capitals', binary({ 'EventMesh-Site': 'x' }), 400, 'eventmesh-site'],
  ['an empty partition key', binary({ 'ce-partitionkey': '' }), 400, 'ce-partitionkey'],
  ['a compressed body', binary({ 'content-encoding': 'gzip' }), 415, 'content-encoding'],
  [
    '65 attributes',
    binary(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`ce-a${n}`, 'x']))),
    400,
    'ce-attributes',
  ],
  [
    '300 headers',
    binary(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`h${n}`, 'x']))),
    431,
    'headers',
  ],
  [
    'data beyond the limit',
    { path: topic, headers: ce, body: Buffer.alloc(EVENT_BYTES_MAX + 1) },
    413,
    'body',
  ],
  [
    'data and attributes beyond the limit',
    { path: topic, headers: ce, body: Buffer.alloc(EVENT_BYTES_MAX) },
    413,
    'event',
  ],
  ['a content type that is none', binary({ 'content-type': 'nonsense' }), 415, 'content-type'],
  // Structured mode
  ['an empty body', structured(''), 400, 'json'],
  ['broken JSON', structured('{'), 400, 'json'],
  ['a JSON array', structured('[]'), 400, 'json'],
  ['a JSON string', structured('"x"'), 400, 'json'],
  ['JSON and more', structured(`{${head}}x`), 400, 'json'],
  ['JSON that is not UTF-8', structured(Buffer.from([0x7b, 0xff, 0x7d])), 400, 'json'],
  ['JSON in UTF-16', structured(Buffer.from(`{${head}}`, 'utf16le')), 400, 'json'],
  [
    'charset latin1',
    {
      ...structured(`{${head}}`),
      headers: { 'content-type': 'application/cloudevents+json; charset=iso-8859-1' },
    },
    415,
    'content-type',
  ],
  ['no id', structured('{"specversion":"1.0","source":"/s","type":"t"}'), 400, 'id'],
  ['a numeric id', structured(`{"specversion":"1.0","id":1}`), 400, 'id'],
  [
    'an empty source',
    structured('{"specversion":"1.0","id":"1","source":"","type":"t"}'),
    400,
    'source',
  ],
  [
    'specversion 0.3',
    structured('{"specversion":"0.3","id":"1","source":"/s","type":"t"}'),
    400,
    'specversion',
  ],
  ['a member twice', structured(`{${head},"id":"2"}`), 400, 'id'],
  ['__proto__', structured(`{${head},"__proto__":{"polluted":1}}`), 400, '__proto__'],
  [
    'constructor',
    structured(`{${head},"constructor":{"prototype":{"polluted":1}}}`),
    400,
    'constructor',
  ],
  ['a lone surrogate', structured(`{${head},"s":"\\ud83d"}`), 400, 's'],
  ['an object attribute', structured(`{${head},"o":{}}`), 400, 'o'],
  ['an integer beyond 32 bits', structured(`{${head},"n":4294967296}`), 400, 'n'],
  ['a fraction', structured(`{${head},"n":0.5}`), 400, 'n'],
  ['a reserved attribute', structured(`{${head},"meshsite":"x"}`), 400, 'meshsite'],
  ['a capital attribute', structured(`{${head},"Subject":"x"}`), 400, 'Subject'],
  ['a zero byte', structured(`{${head},"s":"\\u0000"}`), 400, 's'],
  ['data and data_base64', structured(`{${head},"data":1,"data_base64":""}`), 400, 'data_base64'],
  ['bad Base64', structured(`{${head},"data_base64":"%%%%"}`), 400, 'data_base64'],
  [
    'object data that is not JSON',
    structured(`{${head},"datacontenttype":"text/plain","data":{}}`),
    400,
    'data',
  ],
  ['deep nesting', structured(`{${head},"data":${'['.repeat(20_000)}`), 400, 'json'],
  [
    'a format that nobody knows',
    { path: topic, headers: { 'content-type': 'application/cloudevents+avro' }, body: 'x' },
    415,
    'content-type',
  ],
  [
    'a protobuf batch',
    {
      path: topic,
      headers: { 'content-type': 'application/cloudevents-batch+protobuf' },
      body: 'x',
    },
    415,
    'content-type',
  ],
  [
    'protobuf that is none',
    {
      path: topic,
      headers: { 'content-type': 'application/cloudevents+protobuf' },
      body: Buffer.from([0x0a, 0xff]),
    },
    400,
    'protobuf',
  ],
  [
    'empty protobuf',
    { path: topic, headers: { 'content-type': 'application/cloudevents+protobuf' }, body: '' },
    400,
    'specversion',
  ],
  // Batch mode
  ['a batch that is an object', { path: topic, headers: batch, body: `{${head}}` }, 400, 'json'],
  ['a batch that is cut', { path: topic, headers: batch, body: `[{${head}}` }, 400, 'json'],
  [
    'a batch of 1001',
    { path: topic, headers: batch, body: `[${'{},'.repeat(1000)}{}]` },
    400,
    'json',
  ],
  [
    'a faulty event in an atomic batch',
    { path: `${topic}?atomic=true`, headers: batch, body: `[{${head}},{${head},"n":1.5}]` },
    400,
    'events[1].n',
  ],
  [
    'an event refused in an atomic batch',
    { path: `${topic}?atomic=true`, headers: batch, body: `[{${head}},{"id":"2"}]` },
    400,
    'events[1].specversion',
  ],
  // Topic and query
  ['no topic', at('/v1/topics/'), 400, 'topic'],
  ['a wildcard', at('/v1/topics/a/+'), 400, 'topic'],
  ['an encoded wildcard', at('/v1/topics/a/%23'), 400, 'topic'],
  ['a reserved topic', at('/v1/topics/$mesh/links'), 400, 'topic'],
  ['an encoded slash', at('/v1/topics/a%2Fb'), 400, 'topic'],
  ['an encoded zero byte', at('/v1/topics/a%00'), 400, 'topic'],
  ['an encoding that is not UTF-8', at('/v1/topics/%C0%AF'), 400, 'path'],
  ['a broken encoding', at('/v1/topics/%zz'), 400, 'path'],
  ['an encoded surrogate', at('/v1/topics/%ED%A0%80'), 400, 'path'],
  ['65 levels', at(`/v1/topics/${'a/'.repeat(64)}a`), 400, 'topic'],
  ['1025 bytes of topic', at(`/v1/topics/${'a'.repeat(1025)}`), 400, 'topic'],
  ['an unknown delivery class', at(`${topic}?delivery=maybe`), 400, 'delivery'],
  ['a delivery class twice', at(`${topic}?delivery=direct&delivery=durable`), 400, 'delivery'],
  ['a negative expiry', at(`${topic}?expiresAfterMs=-1`), 400, 'expiresAfterMs'],
  ['an unknown parameter', at(`${topic}?dleivery=direct`), 400, 'dleivery'],
  ['__proto__ as a parameter', at(`${topic}?__proto__=x`), 400, '__proto__'],
  // Streams
  ['a stream of no topic', { path: '/v1/events' }, 400, 'topic'],
  ['a bad topic filter', { path: '/v1/events?topic=a%23' }, 400, 'topicFilters[0]'],
  ['a filter that is not JSON', { path: '/v1/events?topic=a&filter=x' }, 400, 'filter'],
  [
    'a filter of an unknown dialect',
    { path: '/v1/events?topic=a&filter=%7B%22regex%22%3A%7B%7D%7D' },
    501,
    'filters[0].regex',
  ],
  [
    'a filter whose SQL is none',
    { path: `/v1/events?topic=a&filter=${encodeURIComponent('{"sql":"a = "}')}` },
    400,
    'filters[0].sql',
  ],
  [
    'a data filter without a test',
    { path: `/v1/events?topic=a&filter=${encodeURIComponent('{"data":{"path":"$"}}')}` },
    400,
    'filters[0].data',
  ],
  ['a filter that is a number', { path: '/v1/events?topic=a&filter=5' }, 400, 'filter[0]'],
  ['no credit', { path: '/v1/events?topic=a&credit=0' }, 400, 'credit'],
  ['no credit in bytes', { path: '/v1/events?topic=a&creditBytes=0' }, 400, 'creditBytes'],
  [
    'a forged Last-Event-ID',
    { path: '/v1/events?topic=a', headers: { 'last-event-id': '../..' } },
    400,
    'last-event-id',
  ],
  [
    'a Last-Event-ID of a place that no log can have',
    {
      path: '/v1/events?topic=a',
      headers: { 'last-event-id': '65536:1:west:1:fd29c4cdfc8a6e03.1' },
    },
    400,
    'last-event-id',
  ],
  [
    'an Accept that is not SSE',
    { path: '/v1/events?topic=a', headers: { accept: 'text/html' } },
    406,
    'accept',
  ],
  ['a subscription that is not there', { path: '/v1/subscriptions/none/events' }, 404, 'name'],
  [
    'a pull without bounds',
    { path: '/v1/subscriptions/none/pull?max=100000', method: 'POST' },
    400,
    'max',
  ],
  [
    'a pull of more bytes than may wait for one',
    { path: '/v1/subscriptions/none/pull?maxBytes=100000000', method: 'POST' },
    400,
    'maxBytes',
  ],
  [
    'a pull of a subscription that is not there',
    { path: '/v1/subscriptions/none/pull', method: 'POST' },
    404,
    'name',
  ],
  // Settling
  ['a settle without ids', settle({ outcome: 'accept' }), 400, 'ids'],
  [
    'a settle of 1001 ids',
    settle({ outcome: 'accept', ids: Array.from({ length: 1001 }, () => 1) }),
    400,
    'ids',
  ],
  ['a fraction of an id', settle({ outcome: 'accept', ids: [1.5] }), 400, 'ids[0]'],
  ['a forged id', settle({ outcome: 'accept', ids: ['1:2'] }), 400, 'ids[0]'],
  ['an unknown outcome', settle({ outcome: 'maybe', ids: [1] }), 400, 'outcome'],
  ['a reason that is no text', settle({ outcome: 'reject', ids: [1], reason: 7 }), 400, 'reason'],
  ['an accept with a delay', settle({ outcome: 'accept', ids: [1], delayMs: 1 }), 400, 'delayMs'],
  [
    'a delay of a year',
    settle({ outcome: 'release', ids: [1], delayMs: 43_200_001 }),
    400,
    'delayMs',
  ],
  [
    'an unknown member of a settle',
    settle({ outcome: 'accept', ids: [1], force: true }),
    400,
    'force',
  ],
  ['a settle of nobody', settle({ outcome: 'accept', ids: [1] }), 404, 'subscription'],
  // Management
  ['no body', { ...subscription(''), method: 'POST' }, 400, 'body'],
  ['a body that is no object', subscription('[]'), 400, 'body'],
  ['__proto__ in the body', subscription('{"__proto__":{"polluted":1}}'), 400, '__proto__'],
  ['no name', subscription({ topicFilters: ['a'] }), 400, 'name'],
  ['a bad name', subscription({ ...spec, name: 'a/b' }), 400, 'name'],
  ['a numeric name', subscription({ ...spec, name: 5 }), 400, 'name'],
  ['no topic filters', subscription({ name: 'n' }), 400, 'topicFilters'],
  [
    'topic filters that are text',
    subscription({ name: 'n', topicFilters: 'a' }),
    400,
    'topicFilters',
  ],
  ['a bad topic filter', subscription({ name: 'n', topicFilters: ['a#'] }), 400, 'topicFilters[0]'],
  ['filters that are an object', subscription({ ...spec, filters: {} }), 400, 'filters'],
  ['an unknown field', subscription({ ...spec, owner: 'root' }), 400, 'owner'],
  ['an unknown mode', subscription({ ...spec, mode: 'all' }), 400, 'mode'],
  ['a start without a kind', subscription({ ...spec, start: {} }), 400, 'start.kind'],
  [
    'a start at half a position',
    subscription({ ...spec, start: { kind: 'position', partition: 0, position: 0.5 } }),
    400,
    'start.position',
  ],
  ['a retry that is a number', subscription({ ...spec, retry: 5 }), 400, 'retry'],
  [
    'an unknown part of a retry',
    subscription({ ...spec, retry: { forever: true } }),
    400,
    'retry.forever',
  ],
  [
    'an acknowledgement time of a millisecond',
    subscription({ ...spec, ackTimeoutMs: 1 }),
    400,
    'ackTimeoutMs',
  ],
  [
    'a pause that is a word',
    { path: '/v1/subscriptions/none/pause', body: '{"paused":"yes"}' },
    400,
    'paused',
  ],
  ['a seek to nowhere', { path: '/v1/subscriptions/none/seek', body: '{}' }, 400, 'start'],
  [
    "a name that is not the path's",
    { method: 'PUT', path: '/v1/subscriptions/n', body: JSON.stringify({ ...spec, name: 'm' }) },
    400,
    'name',
  ],
  ['a subscription body beyond the limit', subscription(' '.repeat(300_000)), 413, 'body'],
  ['a path that nobody knows', { path: '/v1/nothing' }, 404, 'path'],
  ['a method that is not for this path', { method: 'DELETE', path: topic }, 405, 'method'],
  ['a method that is not for a name', { method: 'PATCH', path: '/v1/trace/a' }, 405, 'method'],
];

describe('malformed requests', () => {
  const faults: string[] = [];
  let mesh: MemoryMesh;
  let adapter: ProtocolAdapter;
  let address: string;

  beforeAll(async () => {
    mesh = new MemoryMesh({ eventBytesMax: EVENT_BYTES_MAX });
    adapter = makeAdapter(mesh, {}, faults);
    await adapter.start();
    address = adapter.addresses()['http'] ?? '';
  });

  afterAll(async () => {
    await adapter.stop();
    mesh.close();
  });

  it.each(CASES)('%s', async (_, given, status, field) => {
    const answer = await call(address, given);
    expect([answer.status, answer.text]).toEqual([status, expect.any(String)]);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    const problem = JSON.parse(answer.text) as Problem;
    expect(problem.field).toBe(field);
    expect(problem.status).toBe(status);
    expect(problem.code).toBeGreaterThanOrEqual(40_000);
  });

  it.each<[string, string, RegExp]>([
    [
      'ce-id twice, in two cases',
      'POST /v1/topics/a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alice\r\nconnection: close\r\n' +
        'content-length: 0\r\nce-id: 1\r\nCE-ID: 2\r\n\r\n',
      /^HTTP\/1.1 400 .*"field":"ce-id"/s,
    ],
    [
      'the credentials twice',
      'GET /v1/sites HTTP/1.1\r\nhost: x\r\nconnection: close\r\n' +
        'authorization: Bearer alice\r\nauthorization: Bearer mallory\r\n\r\n',
      /^HTTP\/1.1 400 .*"field":"authorization"/s,
    ],
    ['no HTTP at all', 'hello\r\n\r\n', /^HTTP\/1.1 400 .*\r\n.*problem\+json/s],
    ['a space in the path', 'GET /a b HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'a zero byte in a header',
      'GET / HTTP/1.1\r\nhost: x\r\nce-id: a\0b\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    ['a folded header', 'GET / HTTP/1.1\r\nhost: x\r\nce-id: a\r\n b\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'a space before the colon',
      'GET / HTTP/1.1\r\nhost: x\r\nce-id : a\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    ['a bare line feed', 'GET / HTTP/1.1\nhost: x\n\n', /^HTTP\/1.1 400 /],
    [
      'an expectation that nobody meets',
      'POST /v1/topics/a HTTP/1.1\r\nhost: x\r\nexpect: 200-maybe\r\nconnection: close\r\n' +
        'content-length: 0\r\n\r\n',
      /^HTTP\/1.1 417 .*problem\+json.*"field":"expect"/s,
    ],
    [
      'a tunnel',
      'CONNECT a:1 HTTP/1.1\r\nhost: x\r\n\r\n',
      /^HTTP\/1.1 405 .*problem\+json.*"field":"method"/s,
    ],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'length and chunks at once (smuggling)',
      'POST /v1/topics/a HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    [
      'two lengths',
      'POST /v1/topics/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
      /^HTTP\/1.1 400 /,
    ],
    [
      'a negative length',
      'POST /v1/topics/a HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    [
      'a length beyond the limit, of which nothing is waited for',
      'POST /v1/topics/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 99999999\r\n\r\n',
      /^HTTP\/1.1 413 .*"limit":"65536 bytes"/s,
    ],
    [
      'a length of 2^70',
      'POST /v1/topics/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1180591620717411303424\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    [
      'an absurd chunk',
      'POST /v1/topics/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n',
      /^HTTP\/1.1 4\d\d /,
    ],
    [
      'chunks beyond the limit',
      `POST /v1/topics/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n20000\r\n${'x'.repeat(0x20000)}\r\n`,
      /^HTTP\/1.1 413 /,
    ],
    [
      'headers of 40 KiB',
      `GET / HTTP/1.1\r\nhost: x\r\nh: ${'x'.repeat(40_000)}\r\n\r\n`,
      /^HTTP\/1.1 431 .*"field":"headers"/s,
    ],
  ])('raw: %s', async (_, bytes, expected) => {
    expect(await raw(address, bytes)).toMatch(expected);
  });

  it.each([
    ['/v1/topics/a', 'POST'],
    ['/v1/subscriptions', 'GET, POST'],
    ['/v1/subscriptions/a', 'DELETE, GET, PUT'],
  ])('says of %s that it takes %s', async (path, allow) => {
    const answer = await call(address, { method: 'TRACE', path });
    expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
  });

  it('refuses 500 spellings of reserved names, and stores none of them', async () => {
    const names = ['mesh', 'meshhops', 'meshorigin', 'meshsite', 'meshprincipal'];
    const spellings = Array.from({ length: 100 }, (_, n) =>
      names.map((name) =>
        [...`ce-${name}`].map((c, at) => ((n >> (at % 7)) & 1 ? c.toUpperCase() : c)).join(''),
      ),
    ).flat();
    const before = mesh.log.flat().length;
    const statuses = new Set<number>();
    for (let from = 0; from < spellings.length; from += 25) {
      const answers = await Promise.all(
        spellings.slice(from, from + 25).map((name) => call(address, binary({ [name]: 'x' }))),
      );
      for (const { status } of answers) statuses.add(status);
    }
    expect([...statuses]).toEqual([400]);
    expect(mesh.log.flat()).toHaveLength(before);
  });

  it('leaves the process alive, unpolluted, without a logged fault, and ready for a good event', async () => {
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(faults).toEqual([]);
    const answer = await call(address, binary({ 'ce-id': 'good' }));
    expect(answer.status).toBe(200);
  });
});
