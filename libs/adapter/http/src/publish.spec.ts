import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CloudEvent, HTTP, type CloudEventV1, type Message } from 'cloudevents';
import fc from 'fast-check';
import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import type { EventView } from '@eventmesh/event';
import { encodeEvent } from '@eventmesh/event';
import { MemoryMesh } from '@eventmesh/testing';
import { call, makeAdapter, openSse, type Answer, type Call } from './testing/http-client.ts';

const faults: string[] = [];
let mesh: MemoryMesh;
let adapter: ProtocolAdapter;
let address: string;

beforeAll(async () => {
  mesh = new MemoryMesh();
  adapter = makeAdapter(mesh, {}, faults);
  await adapter.start();
  address = adapter.addresses()['http'] ?? '';
});

afterAll(async () => {
  await adapter.stop();
  mesh.close();
  expect(faults).toEqual([]);
});

const last = (): EventView => {
  const record = mesh.log[0]?.at(-1);
  if (record === undefined) throw new Error('nothing was stored');
  return record.view;
};
const lastTopic = (): string | undefined => mesh.log[0]?.at(-1)?.topic;
const dataOf = (view: EventView): string => Buffer.from(view.data?.bytes ?? []).toString();
const attributesOf = (view: EventView): Record<string, string | undefined> => ({
  ...Object.fromEntries([...view.attributes.keys()].map((name) => [name, view.text(name)])),
  id: view.id,
  source: view.source,
  type: view.type,
  specversion: view.specVersion,
});
const body = (answer: Answer): Record<string, unknown> =>
  JSON.parse(answer.text) as Record<string, unknown>;

let count = 0;
const ce = (): Record<string, string> => ({
  'ce-specversion': '1.0',
  'ce-id': `n${++count}`,
  'ce-source': '/spec',
  'ce-type': 'com.example.t',
});
const post = (given: Partial<Call>): Promise<Answer> =>
  call(address, { path: '/v1/topics/orders/eu', method: 'POST', ...given });

describe('publish in binary mode (HTTP binding, 3.1)', () => {
  it('maps headers to attributes, content-type to datacontenttype, and keeps the body', async () => {
    const headers = {
      ...ce(),
      'ce-time': '2018-04-05T03:56:24.5+02:00',
      'ce-subject': 'Euro%20%E2%82%AC',
      'Content-Type': 'application/json; charset=utf-8',
    };
    const answer = await post({ headers, body: '{ "a": 1 }\n' });
    expect(answer.status).toBe(200);
    expect(attributesOf(last())).toMatchObject({
      time: '2018-04-05T01:56:24.500Z',
      subject: 'Euro €',
      datacontenttype: 'application/json; charset=utf-8',
    });
    expect(dataOf(last())).toBe('{ "a": 1 }\n');
  });

  it('answers with the receipt as body and as headers', async () => {
    const headers = ce();
    const answer = await post({ headers, body: 'x' });
    const position = mesh.log[0]?.length;
    expect(body(answer)).toEqual({
      id: headers['ce-id'],
      site: 'memory',
      partition: 0,
      position,
      duplicate: false,
      durability: 'memory',
      noInterest: true,
      destinations: [],
    });
    expect(answer.headers).toMatchObject({
      'eventmesh-partition': '0',
      'eventmesh-position': String(position),
      'eventmesh-durability': 'memory',
      'eventmesh-duplicate': 'false',
    });
    const again = await post({ headers, body: 'x' });
    expect([again.headers['eventmesh-duplicate'], body(again)['position']]).toEqual([
      'true',
      position,
    ]);
  });

  it('takes an event without data', async () => {
    expect((await post({ headers: ce() })).status).toBe(200);
    expect(last().data).toBeUndefined();
  });

  it('answers 202 without a position to a direct event, and stores nothing', async () => {
    const before = mesh.log.flat().length;
    const answer = await post({
      path: '/v1/topics/orders?delivery=direct',
      headers: ce(),
      body: 'x',
    });
    expect([answer.status, answer.headers['eventmesh-position']]).toEqual([202, undefined]);
    expect(mesh.log.flat()).toHaveLength(before);
  });

  it('keeps every attribute text and every body through the headers', async () => {
    const text = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
      .filter((t) => !/[\p{Cc}\p{Noncharacter_Code_Point}]/u.test(t));
    await fc.assert(
      fc.asyncProperty(text, fc.uint8Array({ maxLength: 60 }), async (subject, data) => {
        const encoded = [...Buffer.from(subject)].map((b) => `%${b.toString(16).padStart(2, '0')}`);
        const headers = { ...ce(), 'ce-subject': encoded.join('') };
        expect((await post({ headers, body: Buffer.from(data) })).status).toBe(200);
        expect(last().text('subject')).toBe(subject);
        expect(Buffer.from(last().data?.bytes ?? [])).toEqual(Buffer.from(data));
      }),
      { numRuns: 40 },
    );
  });
});

describe('publish of a message that is no CloudEvent', () => {
  it('becomes an event with a generated id, the principal as source and the body as it is', async () => {
    const answer = await post({
      headers: { 'content-type': 'image/png' },
      body: Buffer.from([0, 255]),
    });
    expect(answer.status).toBe(200);
    expect(attributesOf(last())).toEqual({
      id: body(answer)['id'],
      source: '/tenants/acme/user/alice',
      type: 'eventmesh.message',
      specversion: '1.0',
      datacontenttype: 'image/png',
    });
    expect(last().data).toEqual({ kind: 'binary', bytes: Buffer.from([0, 255]) });
  });

  it('needs no content type', async () => {
    expect((await post({ body: 'hi' })).status).toBe(200);
    expect(last().text('datacontenttype')).toBeUndefined();
  });
});

describe('publish in structured mode (HTTP binding, 3.2)', () => {
  const head = '"specversion":"1.0","source":"/spec","type":"t"';
  it.each([
    'application/cloudevents+json',
    'application/cloudevents+json; charset=utf-8',
    'Application/CloudEvents+JSON;Charset="UTF-8"',
    'application/cloudevents+json ; charset = utf-8',
  ])('takes %s', async (type) => {
    const id = `s${++count}`;
    const raw = '{"b" : [1,  2.50]}';
    const answer = await post({
      headers: { 'content-type': type },
      body: `{${head},"id":"${id}","n":5,"data":${raw}}`,
    });
    expect([answer.status, body(answer)['id']]).toEqual([200, id]);
    expect(last().attributes.get('n')).toEqual({ kind: 'integer', value: 5 });
    expect(dataOf(last())).toBe(raw);
  });

  it('takes the protobuf format and keeps its very bytes', async () => {
    const event = encodeEvent({ id: `p${++count}`, source: '/spec', type: 't' });
    const headers = { 'content-type': 'application/cloudevents+protobuf' };
    expect((await post({ headers, body: event })).status).toBe(200);
    expect(last().bytes).toEqual(event);
  });

  it('lets data_base64 be as big as the limit allows', async () => {
    const data = Buffer.alloc(1024 * 1024 - 4096, 7);
    const answer = await post({
      headers: { 'content-type': 'application/cloudevents+json' },
      body: `{${head},"id":"big","datacontenttype":"x/y","data_base64":"${data.toString('base64')}"}`,
    });
    expect(answer.status).toBe(200);
    expect(Buffer.from(last().data?.bytes ?? []).equals(data)).toBe(true);
  });
});

describe('publish in batch mode (HTTP binding, 3.3)', () => {
  const headers = { 'content-type': 'application/cloudevents-batch+json; charset=UTF-8' };
  const one = (id: string, more = ''): string =>
    `{"specversion":"1.0","source":"/spec","type":"t","id":"${id}"${more}}`;
  const statuses = (answer: Answer): unknown[] =>
    (body(answer)['outcomes'] as { status: number; field?: string }[]).map(({ status, field }) =>
      field === undefined ? status : [status, field],
    );

  it('answers 200 with an outcome for each when all were accepted', async () => {
    const answer = await post({ headers, body: `[${one('b1')}, ${one('b2')}]` });
    expect([answer.status, statuses(answer)]).toEqual([200, [200, 200]]);
  });

  it('answers 207 and names the events that were refused; the others are stored', async () => {
    const before = mesh.log.flat().length;
    const list = [one('b3'), one('b4', ',"n":1.5'), one(''), one('b5')];
    const answer = await post({ headers, body: `[${list.join()}]` });
    expect([answer.status, statuses(answer)]).toEqual([
      207,
      [200, [400, 'events[1].n'], [400, 'events[2].id'], 200],
    ]);
    expect(mesh.log.flat()).toHaveLength(before + 2);
  });

  it('takes the empty batch', async () => {
    const answer = await post({ headers, body: '[]' });
    expect([answer.status, answer.text]).toEqual([200, '{"outcomes":[]}']);
  });

  it('stores all or nothing when it is atomic', async () => {
    const before = mesh.log.flat().length;
    const path = '/v1/topics/orders?atomic=true';
    const bad = await post({ path, headers, body: `[${one('b6')},${one('')}]` });
    expect([bad.status, body(bad)['field']]).toEqual([400, 'events[1].id']);
    expect(mesh.log.flat()).toHaveLength(before);
    expect((await post({ path, headers, body: `[${one('b6')},${one('b7')}]` })).status).toBe(200);
    expect(mesh.log.flat()).toHaveLength(before + 2);
  });

  it('answers 202 to a direct batch', async () => {
    const path = '/v1/topics/orders?delivery=direct';
    const answer = await post({ path, headers, body: `[${one('b8')}]` });
    expect([answer.status, statuses(answer)]).toEqual([202, [202]]);
  });
});

describe('topics in the path', () => {
  it.each([
    ['orders/eu', 'orders/eu'],
    ['a%20b/c%25', 'a b/c%'],
    ['gr%C3%BC%C3%9Fe/%F0%9F%8C%8D', 'grüße/🌍'],
    ['//a/', '//a/'],
    ['a%3Fb/c;d=e,f', 'a?b/c;d=e,f'],
    ['.././x', '.././x'],
  ])('%s is the topic %s', async (path, topic) => {
    const answer = await post({ path: `/v1/topics/${path}`, headers: ce(), body: 'x' });
    expect([answer.status, lastTopic()]).toEqual([200, topic]);
  });

  it('name every topic there is', async () => {
    const level = fc
      .string({ unit: 'grapheme', maxLength: 6 })
      .filter((text) => !/[\p{Cc}/+#$]/u.test(text));
    const topics = fc
      .array(level, { minLength: 1, maxLength: 4 })
      .map((levels) => levels.join('/'))
      .filter((topic) => topic !== '');
    await fc.assert(
      fc.asyncProperty(topics, async (topic) => {
        const path = `/v1/topics/${topic.split('/').map(encodeURIComponent).join('/')}`;
        expect((await post({ path, headers: ce(), body: 'x' })).status).toBe(200);
        expect(lastTopic()).toBe(topic);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the session of a connection', () => {
  it('is asked for once per connection and credential', async () => {
    const before = mesh.authentications;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sources: string[] = [];
    for (const authorization of [
      'Bearer alice',
      'Bearer alice',
      'Bearer mallory',
      'Bearer mallory',
    ]) {
      expect((await post({ agent, authorization, body: 'x' })).status).toBe(200);
      sources.push(last().source);
    }
    agent.destroy();
    expect(sources[1]).toBe('/tenants/acme/user/alice');
    expect(sources[2]).toBe('/tenants/evil/user/mallory');
    expect(mesh.authentications - before).toBe(2);
  });

  it('answers 401 with a challenge', async () => {
    const answer = await post({ headers: ce(), body: 'x', authorization: undefined });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toContain('Bearer');
  });
});

describe('the CloudEvents JavaScript SDK', () => {
  const make = (data: unknown, contentType: string, subject = 'grüße 100%'): CloudEvent<unknown> =>
    new CloudEvent({
      id: `sdk${++count}`,
      source: '/sdk',
      type: 'com.example.sdk',
      subject,
      datacontenttype: contentType,
      time: '2024-05-01T12:00:00.000Z',
      ext: 'x',
      data,
    });
  // The SDK leaves header values as they are; Node then writes them in UTF-8 before a text body, and
  // in Latin-1, which is refused, before a binary one.
  const headersOf = (message: Message): Record<string, string> =>
    message.headers as Record<string, string>;

  it.each<[string, (event: CloudEvent<unknown>) => Message]>([
    ['binary', (event) => HTTP.binary(event)],
    ['structured', (event) => HTTP.structured(event)],
  ])('publishes in %s mode and consumes from SSE what it sent', async (mode, write) => {
    const path = `/v1/events?topic=sdk/${mode}&credit=10`;
    const stream = await openSse(address, { path });
    const sent = [
      make({ a: [1, 'ü'] }, 'application/json'),
      make('plain ü', 'text/plain'),
      make(Buffer.from([0, 1, 255]), 'application/octet-stream', '100% ASCII'),
    ];
    for (const event of sent) {
      const message = write(event);
      const answer = await call(address, {
        path: `/v1/topics/sdk/${mode}`,
        headers: headersOf(message),
        body: message.body as string | Buffer,
      });
      expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
    }
    await whole(stream, sent.length);
    const got = stream.messages.map(
      ({ data }) =>
        HTTP.toEvent({
          headers: { 'content-type': 'application/cloudevents+json' },
          body: data,
        }) as CloudEventV1<unknown>,
    );
    for (const [index, event] of sent.entries()) {
      const { id, source, type, subject, time, ext } = event;
      expect(got[index]).toMatchObject({ id, source, type, subject, time, ext });
    }
    expect(got[0]?.data).toEqual({ a: [1, 'ü'] });
    expect(got[1]?.data).toBe('plain ü');
    expect(got[2]?.data_base64 ?? Buffer.from(got[2]?.data as Uint8Array).toString('base64')).toBe(
      'AAH/',
    );
    await stream.close();
  });

  it('publishes a batch', async () => {
    const events = [make({ n: 1 }, 'application/json'), make({ n: 2 }, 'application/json')];
    const answer = await call(address, {
      path: '/v1/topics/sdk/batch',
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: `[${events.map((event) => event.toString()).join()}]`,
    });
    expect(answer.status).toBe(200);
    expect(attributesOf(last())).toMatchObject({ subject: 'grüße 100%', ext: 'x' });
  });
});

async function whole(
  stream: { readonly messages: readonly unknown[]; readonly response: NodeJS.EventEmitter },
  size: number,
): Promise<void> {
  while (stream.messages.length < size) {
    await new Promise((done) => stream.response.once('data', done));
  }
}
