import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Delivery, ProtocolAdapter } from '@eventmesh/adapter-api';
import { EventView, encodeEvent, type AttributeValue } from '@eventmesh/event';
import { MemoryMesh, eventually } from '@eventmesh/testing';
import { call, makeAdapter, respond, type Call } from './testing/http-client.ts';

const faults: string[] = [];
let mesh: MemoryMesh;
let adapter: ProtocolAdapter;
let address: string;
let asked: Delivery[];

const text = (value: string): AttributeValue => ({ kind: 'string', value });

beforeEach(async () => {
  mesh = new MemoryMesh();
  adapter = makeAdapter(mesh, {}, faults);
  await adapter.start();
  address = adapter.addresses()['http'] ?? '';
  asked = [];
  const session = await mesh.authenticate('Bearer alice');
  const subscription = { name: 'answers', topicFilters: ['questions/#'] };
  await mesh.attach(
    session,
    { subscription, creditEvents: 100 },
    {
      deliver: (deliveries) => void asked.push(...deliveries),
      gap: () => undefined,
      refused: () => undefined,
      ended: () => undefined,
    },
  );
});

afterEach(async () => {
  await adapter.stop();
  mesh.close();
  expect(faults).toEqual([]);
});

const ask = (query: string, change: Partial<Call> = {}) =>
  call(address, { path: `/v1/topics/questions/a?${query}`, body: 'why?', ...change });

/** Answers the first request that has come, as somebody of the tenant does. */
async function reply(
  authorization = 'Bearer alice',
  contentType = 'application/json',
): Promise<void> {
  await eventually(() => expect(asked.length).toBeGreaterThan(0));
  const request = new EventView(asked[0]?.event ?? Buffer.of());
  const event = encodeEvent({
    id: 'reply 1',
    source: '/answers',
    type: 'answer',
    attributes: [
      ['datacontenttype', text(contentType)],
      ['subject', text('grüße')],
      ['correlationid', text(request.text('correlationid') ?? '')],
    ],
    data: { kind: 'binary', bytes: Buffer.from('{"because":[1,2]}') },
  });
  const session = await mesh.authenticate(authorization);
  await mesh.publish(session, [{ topic: request.text('replyto') ?? '', event }]);
}

describe('POST /v1/topics/{topic}?reply=wait', () => {
  it('answers with the reply in binary mode', async () => {
    const [answer] = await Promise.all([ask('reply=wait'), reply()]);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'ce-id': 'reply%201',
      'ce-type': 'answer',
      'ce-source': '/answers',
      'ce-specversion': '1.0',
      'ce-subject': 'gr%C3%BC%C3%9Fe',
    });
    expect(answer.text).toBe('{"because":[1,2]}');
    expect(mesh.requests.pending).toBe(0);
  });

  it.each([
    ['application/cloudevents+json', /^application\/cloudevents\+json/],
    ['application/cloudevents+protobuf', /^application\/cloudevents\+protobuf$/],
  ])('answers in %s when that is accepted', async (accept, contentType) => {
    const [answer] = await Promise.all([ask('reply=wait', { headers: { accept } }), reply()]);
    expect(answer.headers['content-type']).toMatch(contentType);
    expect(answer.text).toContain('because');
  });

  it('keeps a content type that no header can hold as it is', async () => {
    const [answer] = await Promise.all([
      ask('reply=wait'),
      reply('Bearer alice', 'text/ü; a="b c"'),
    ]);
    expect(answer.headers['content-type']).toBe('text/%C3%BC;%20a=%22b%20c%22');
  });

  it('answers 504 when nobody answers in time, and takes a late reply for what it is', async () => {
    const answer = await ask('reply=wait&timeoutMs=20');
    expect(answer.status).toBe(504);
    expect(JSON.parse(answer.text)).toMatchObject({ reason: 'NO_REPLY', code: 50_400 });
    await reply();
    expect(mesh.requests.late).toBe(1);
  });

  it('answers 400 when nobody wants the topic', async () => {
    const answer = await ask('reply=wait', { path: '/v1/topics/nobody?reply=wait' });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ reason: 'NO_INTEREST', field: 'topic' });
  });

  it('ignores the reply of another tenant', async () => {
    const waiting = ask('reply=wait');
    await reply('Bearer mallory');
    expect([mesh.requests.late, mesh.requests.pending]).toEqual([1, 1]);
    await reply();
    expect((await waiting).status).toBe(200);
  });

  it('waits no longer for a client that has left', async () => {
    const given = { path: '/v1/topics/questions/a?reply=wait', body: 'why?' };
    const abort = new AbortController();
    const response = respond(address, { ...given, signal: abort.signal });
    response.catch(() => undefined);
    await eventually(() => expect(mesh.requests.pending).toBe(1));
    abort.abort();
    await eventually(() => expect(mesh.requests.pending).toBe(0));
  });

  it.each([
    ['timeoutMs', 'reply=wait&timeoutMs=0'],
    ['timeoutMs', 'reply=wait&timeoutMs=300001'],
    ['timeoutMs', 'timeoutMs=1000'],
    ['reply', 'reply=later'],
  ])('names %s in %s', async (field, query) => {
    const answer = await ask(query);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ field });
    expect(asked).toEqual([]);
  });

  it('is for one event and not for a batch', async () => {
    const headers = { 'content-type': 'application/cloudevents-batch+json' };
    const answer = await ask('reply=wait', { headers, body: '[]' });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ field: 'reply' });
  });
});

describe('publishing to the address of an inbox', () => {
  it('is answered as handed over, and says when nobody waits', async () => {
    const path = '/v1/topics/$inbox/memory/memory/aaaaaaaaaaaaaaaaaaaaaa';
    const answer = await ask('', { path });
    expect(answer.status).toBe(202);
    expect(JSON.parse(answer.text)).toMatchObject({ noInterest: true, position: 0 });
  });
});
