import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError, type Delivery, type MeshClient } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { Workspace } from './run-mesh.ts';
import { TwoSites, type SiteName } from './two-sites.ts';

const TEST_MS = 60_000;
const dir = tempDir('request');
const cli = new Workspace();
const stop = new AbortController();
let sites: TwoSites;
let asker: MeshClient;
/** Answers at east what is asked on `questions/#`. */
let answerer: MeshClient;
/** Requests that nobody answers by itself, on `silence/#`, in the order in which they came. */
const unanswered: Delivery[] = [];

let count = 0;
const event = (data = '{"q":1}') => ({
  id: `q-${++count}`,
  source: '/asker',
  type: 'question',
  data,
  datacontenttype: 'application/json',
});

async function serve(
  name: string,
  take: (delivery: Delivery) => void,
  deliveryClass: 'durable' | 'direct' = 'durable',
): Promise<void> {
  const spec = { name, topicFilters: [`${name}/#`], deliveryClass };
  const subscriber = answerer.subscribe({
    subscription: spec,
    convergeMs: 10_000,
    signal: stop.signal,
  });
  void (async () => {
    try {
      for await (const delivery of subscriber) {
        take(delivery);
        delivery.accept();
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  })();
  await subscriber.opened;
}

const late = (site: SiteName) => sites.metric(site, 'eventmesh_replies_total', { outcome: 'late' });
const pending = (site: SiteName) => sites.metric(site, 'eventmesh_requests_pending');
const failure = (asked: Promise<unknown>): Promise<MeshError> =>
  asked.then(
    () => {
      throw new Error('it was answered');
    },
    (error: unknown) => MeshError.from(error),
  );

/** A request that waits: its delivery at east, and what becomes of it. */
async function waiting(timeoutMs = 20_000) {
  const before = unanswered.length;
  const reply = asker.request('silence/x', event(), { timeoutMs });
  reply.catch(() => undefined);
  await eventually(() => expect(unanswered.length).toBe(before + 1));
  const delivery = unanswered[before];
  if (delivery === undefined) throw new Error('the request did not arrive');
  return { reply, delivery };
}

beforeAll(async () => {
  sites = await TwoSites.start(dir.path);
  asker = sites.client('west', 'publisher');
  answerer = sites.client('east', 'subscriber');
  const answer = (delivery: Delivery): void => {
    const data = Buffer.from(delivery.event.data?.bytes ?? []).toString();
    void answerer.reply(delivery, {
      id: `a-${delivery.event.id}`,
      source: '/answerer',
      type: 'answer',
      datacontenttype: 'application/json',
      data: `{"asked":${data}}`,
    });
  };
  await serve('questions', answer);
  await serve('quick', answer, 'direct');
  await serve('silence', (delivery) => unanswered.push(delivery));
}, TEST_MS);

afterAll(async () => {
  stop.abort();
  await cli.remove();
  await sites?.stop();
  dir.remove();
}, 30_000);

describe('a request at west that is answered at east', () => {
  it.each([
    ['durable', 'questions/a'],
    ['direct', 'quick/a'],
  ] as const)(
    'over gRPC, as %s',
    async (deliveryClass, topic) => {
      const reply = await asker.request(topic, event(), { deliveryClass });
      expect(reply.type).toBe('answer');
      expect(Buffer.from(reply.data?.bytes ?? []).toString()).toBe('{"asked":{"q":1}}');
      expect(reply.text('correlationid')).toMatch(/^[0-9a-f-]{36}$/);
    },
    TEST_MS,
  );

  it('over HTTP, in binary mode and structured as asked', async () => {
    const ask = (accept: string, id: string) =>
      sites.http('west', 'publisher', '/v1/topics/questions/a?reply=wait&timeoutMs=20000', {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept,
          'ce-specversion': '1.0',
          'ce-id': id,
          'ce-source': '/http',
          'ce-type': 'question',
          'ce-correlationid': 'mine',
        },
        body: '{"q":2}',
      });
    const binary = await ask('*/*', 'h-1');
    expect(binary.status).toBe(200);
    expect(Object.fromEntries(binary.headers)).toMatchObject({
      'ce-type': 'answer',
      'ce-id': 'a-h-1',
      'ce-correlationid': 'mine',
      'content-type': 'application/json',
    });
    expect(await binary.json()).toEqual({ asked: { q: 2 } });
    const structured = await ask('application/cloudevents+json', 'h-2');
    expect(structured.headers.get('content-type')).toMatch(/^application\/cloudevents\+json/);
    expect(await structured.json()).toMatchObject({
      id: 'a-h-2',
      type: 'answer',
      correlationid: 'mine',
      data: { asked: { q: 2 } },
    });
  });

  it(
    'from the command line',
    async () => {
      const here = sites.flags('west', 'publisher');
      const { code, out } = await cli.run('request', 'questions/a', '{"q":3}', ...here);
      expect([code, out]).toEqual([0, '{"asked":{"q":3}}\n']);
      const late = await cli.run('request', 'silence/a', 'x', '--timeout', '200ms', ...here);
      expect([late.code, late.err]).toEqual([
        75,
        expect.stringMatching(/DeadlineExceeded.*nobody answered on "silence\/a" within 200 ms/),
      ]);
      const nobody = await cli.run('request', 'nobody/a', 'x', ...here);
      expect([nobody.code, nobody.err]).toEqual([
        1,
        expect.stringContaining('nobody in the known'),
      ]);
    },
    TEST_MS,
  );

  it('carries its deadline and its address to who answers', async () => {
    const { reply, delivery } = await waiting();
    expect(delivery.event.text('replyto')).toMatch(/^\$inbox\/west\/[^/]+\/[A-Za-z0-9_-]{22}$/);
    expect(Date.parse(delivery.event.text('expirytime') ?? '') - Date.now()).toBeLessThan(20_000);
    expect(await pending('west')).toBe(1);
    await answerer.reply(delivery, { id: '1', source: '/s', type: 'late-but-in-time' });
    expect((await reply).type).toBe('late-but-in-time');
    expect(await pending('west')).toBe(0);
  });

  it('is answered by the first reply; a later one is accepted and counted', async () => {
    const { reply, delivery } = await waiting();
    const before = await late('west');
    await answerer.reply(delivery, { id: 'first', source: '/s', type: 'answer' });
    expect((await reply).id).toBe('first');
    await answerer.reply(delivery, { id: 'second', source: '/s', type: 'answer' });
    await eventually(async () => expect(await late('west')).toBe(before + 1));
    // At the site of the inbox the publisher is told at once.
    const receipt = await asker.reply(delivery, { id: 'third', source: '/s', type: 'answer' });
    expect(receipt.noInterest).toBe(true);
  });
});

describe('a request that is not answered', () => {
  it('ends at its deadline, over gRPC and HTTP', async () => {
    const timeouts = () => sites.metric('west', 'eventmesh_requests_total', { outcome: 'timeout' });
    const before = await timeouts();
    const error = await failure(asker.request('silence/x', event(), { timeoutMs: 300 }));
    expect([error.code, error.reason, error.details.limit]).toEqual([
      ...['DeadlineExceeded', 'NO_REPLY', '300 ms'],
    ]);
    expect(await timeouts()).toBe(before + 1);
    const answer = await sites.http(
      ...(['west', 'publisher', '/v1/topics/silence/x?reply=wait&timeoutMs=300'] as const),
      { method: 'POST', body: 'anyone?' },
    );
    expect(answer.status).toBe(504);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(await answer.json()).toMatchObject({ reason: 'NO_REPLY', status: 504 });
    await eventually(async () => expect(await pending('west')).toBe(0));
  });

  it('is refused at once when nobody wants its topic', async () => {
    const error = await failure(asker.request('nobody/here', event(), { timeoutMs: 300_000 }));
    expect([error.code, error.reason]).toEqual(['FailedPrecondition', 'NO_INTEREST']);
    const path = '/v1/topics/nobody/here?reply=wait&timeoutMs=300000';
    const answer = await sites.http('west', 'publisher', path, { method: 'POST', body: 'x' });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ reason: 'NO_INTEREST', field: 'topic' });
  });

  it('is not delivered behind its deadline', async () => {
    const admin = sites.client('east', 'admin');
    await admin.subscriptions.pauseSubscription({ name: 'silence', paused: true });
    const before = unanswered.length;
    await failure(asker.request('silence/x', event(), { timeoutMs: 300 }));
    await admin.subscriptions.pauseSubscription({ name: 'silence', paused: false });
    const { delivery } = await waiting();
    expect(unanswered.indexOf(delivery)).toBe(before);
    const { status } = await admin.subscriptions.getSubscription({ name: 'silence' });
    expect(status?.expired).toBe(1n);
  });
});

describe('the inbox of a request', () => {
  it('is not there for another tenant, which can neither answer nor listen', async () => {
    const { reply, delivery } = await waiting();
    const address = delivery.event.text('replyto') ?? '';
    const forged = { id: 'forged', source: '/evil', type: 'answer' };
    for (const site of ['west', 'east'] as const) {
      const before = await late('west');
      const receipt = await sites.client(site, 'evil/mallory').publish(address, forged);
      if (site === 'west') expect(receipt.noInterest).toBe(true);
      await eventually(async () => expect(await late('west')).toBe(before + 1));
    }
    for (const user of ['evil/mallory', 'admin'] as const) {
      for (const filter of ['$inbox/#', address, '$inbox/+/+/+']) {
        const subscription = { name: 'spy', topicFilters: [filter] };
        const { code } = await failure(
          sites.client('west', user).subscriptions.createSubscription({ subscription }),
        );
        expect(code).toBe('PermissionDenied');
      }
    }
    await answerer.reply(delivery, { id: 'true', source: '/s', type: 'answer' });
    expect((await reply).id).toBe('true');
    const topics = await sites.http('west', 'admin', '/v1/topics');
    expect(await topics.text()).not.toContain('$inbox');
  });

  it('takes nothing but replies to a whole address', async () => {
    for (const topic of ['$inbox/west', '$inbox/west/m/short', '$inbox/west/m/+']) {
      const error = await failure(asker.publish(topic, event()));
      expect([error.code, error.details.field]).toEqual(['InvalidArgument', 'topic']);
    }
    const { delivery } = await waiting();
    const address = delivery.event.text('replyto') ?? '';
    const durable = await failure(asker.publish(address, event(), { deliveryClass: 'durable' }));
    expect(durable.details.field).toBe('delivery_class');
  });

  it(
    'is gone when its emesher comes back, and a reply is counted',
    async () => {
      const { reply, delivery } = await waiting();
      await sites.crash('west');
      expect((await failure(reply)).code).toBe('Unavailable');
      expect(await late('west')).toBe(0);
      await eventually(
        async () => {
          await answerer.reply(delivery, { id: 'too-late', source: '/s', type: 'answer' });
          expect(await late('west')).toBeGreaterThan(0);
        },
        { timeoutMs: 20_000 },
      );
      const here = await sites
        .client('west', 'publisher')
        .reply(delivery, { id: 'again', source: '/s', type: 'answer' });
      expect(here.noInterest).toBe(true);
    },
    TEST_MS,
  );
});
