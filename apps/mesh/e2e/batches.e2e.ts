import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeRecord, encodeEvent, type RecordView } from '@eventmesh/event';
import type { PublishOutcome } from '@eventmesh/proto-gen/publisher';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { eventually, tempDir } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';

const TEST_MS = 60_000;

const dir = tempDir('batches');
let site: OneSite;

beforeAll(async () => {
  site = await OneSite.start(dir.path, { log: { partitions: 4 } });
}, TEST_MS);

afterAll(async () => {
  await site?.stop();
  dir.remove();
}, 30_000);

interface Item {
  readonly topic?: string;
  readonly id: string;
  readonly deliverAfterMs?: bigint;
  readonly deliveryClass?: number;
  readonly text?: string;
}

const message = ({ id, text = 'x' }: Item) => ({
  id,
  source: '/batch',
  type: 'test',
  specVersion: '1.0',
  data: { case: 'textData' as const, value: text },
});

async function batch(atomic: boolean, ...items: Item[]): Promise<PublishOutcome['outcome'][]> {
  const { outcomes } = await site.client('publisher').publisherService.publishBatch({
    events: items.map(({ topic = 'batch/a', ...item }) => ({
      topic,
      event: message(item as Item),
      deliverAfterMs: item.deliverAfterMs ?? 0n,
      deliveryClass: (item.deliveryClass ?? 0) as never,
    })),
    atomic,
  });
  return outcomes.map(({ outcome }) => outcome);
}

const summary = (outcomes: readonly PublishOutcome['outcome'][]) =>
  outcomes.map((outcome) =>
    outcome.case === 'receipt'
      ? outcome.value.duplicate
        ? 'duplicate'
        : 'stored'
      : `${outcome.value?.field} ${outcome.value?.reason}`,
  );

async function stored(topic: string): Promise<string[]> {
  await site
    .client('publisher')
    .publish(topic, { id: `end-${topic}`, source: '/batch', type: 'end' });
  const ids = (await site.stored(topic, `end-${topic}`)).map(({ id }) => id);
  return ids.filter((id) => !id.startsWith('end-'));
}

const json = (...ids: string[]) =>
  ids.map((id) => ({ specversion: '1.0', id, source: '/batch', type: 'test', data: 'x' }));

const post = (path: string, events: readonly object[], headers: Record<string, string> = {}) =>
  fetch(`${site.http}/v1/topics/${path}`, {
    method: 'POST',
    body: JSON.stringify(events),
    headers: {
      authorization: site.authorization('publisher'),
      'content-type': 'application/cloudevents-batch+json',
      ...headers,
    },
  });

describe('a batch that is not atomic', () => {
  it('answers each event for itself and stores the good ones', async () => {
    const outcomes = await batch(
      false,
      { topic: 'single/a', id: 's-1' },
      { topic: 'single/a', id: 's-1' },
      { topic: 'single/+', id: 's-2' },
      { topic: 'single/a', id: 's-3', deliveryClass: 99 },
      { topic: 'single/a', id: '' },
      { topic: 'single/a', id: 's-4', text: 'y'.repeat(1 << 20) },
      { topic: 'single/a', id: 's-5' },
    );
    expect(summary(outcomes)).toEqual([
      'stored',
      'duplicate',
      'topic INVALID_ARGUMENT',
      'delivery_class INVALID_ARGUMENT',
      'id INVALID_ARGUMENT',
      'event PAYLOAD_TOO_LARGE',
      'stored',
    ]);
    const tooLarge = outcomes[5];
    expect(tooLarge?.case === 'failure' && tooLarge.value.limit).toBe('1048576 bytes');
    expect(await stored('single/a')).toEqual(['s-1', 's-5']);
  });
});

describe('an atomic batch', () => {
  it('of one partition is stored as a whole, positions in a row', async () => {
    const outcomes = await batch(true, ...['a-1', 'a-2', 'a-3'].map((id) => ({ id })));
    const positions = outcomes.map((outcome) =>
      outcome.case === 'receipt' ? Number(outcome.value.position) : 0,
    );
    const [first = 0] = positions;
    expect(positions).toEqual([first, first + 1, first + 2]);
  });

  it('counts an event that is stored already, or twice in it, as stored', async () => {
    const outcomes = await batch(true, { id: 'a-1' }, { id: 'a-4' }, { id: 'a-4' }, { id: 'a-5' });
    expect(summary(outcomes)).toEqual(['duplicate', 'stored', 'duplicate', 'stored']);
    expect(await stored('batch/a')).toEqual(['a-1', 'a-2', 'a-3', 'a-4', 'a-5']);
  });

  it.each<[string, Item[], string]>([
    [
      'with an event that is refused',
      [
        { topic: 'none/a', id: '1' },
        { topic: 'none/+', id: '2' },
      ],
      'events[1].topic INVALID_ARGUMENT',
    ],
    [
      'with an unknown delivery class',
      [
        { topic: 'none/a', id: '1' },
        { topic: 'none/a', id: '2', deliveryClass: 99 },
      ],
      'events[1].delivery_class INVALID_ARGUMENT',
    ],
    [
      'with an event that is too large',
      [
        { topic: 'none/a', id: '1' },
        { topic: 'none/a', id: '2', text: 'y'.repeat(1 << 20) },
      ],
      'events[1].event PAYLOAD_TOO_LARGE',
    ],
    [
      'across partitions',
      ['a', 'b', 'c', 'd', 'e', 'f'].map((end) => ({ topic: `none/${end}`, id: end })),
      'atomic ATOMIC_ACROSS_PARTITIONS',
    ],
    [
      'for now and for later',
      [
        { topic: 'none/a', id: '1' },
        { topic: 'none/a', id: '2', deliverAfterMs: 100n },
      ],
      'atomic ATOMIC_ACROSS_PARTITIONS',
    ],
    [
      'of the direct class',
      [{ topic: 'none/a', id: '1', deliveryClass: 2 }],
      'events[0].atomic INVALID_ARGUMENT',
    ],
    [
      'of more events than one append takes',
      Array.from({ length: 1001 }, (_, n) => ({ topic: 'none/a', id: `${n}` })),
      'atomic ATOMIC_TOO_LARGE',
    ],
  ])('%s is refused as a whole, with the reason, and stores nothing', async (_, items, why) => {
    const outcomes = summary(await batch(true, ...items));
    expect(outcomes).toEqual(items.map(() => why));
    expect(await stored('none/a')).toEqual([]);
  });

  it('of as many events as one append takes is stored', async () => {
    const items = Array.from({ length: 1000 }, (_, n) => ({ topic: 'most/a', id: `${n}` }));
    expect(new Set(summary(await batch(true, ...items)))).toEqual(new Set(['stored']));
  });

  it('for later is stored among the timers as a whole', async () => {
    const items = ['l-1', 'l-2'].map((id) => ({ topic: 'later/a', id, deliverAfterMs: 200n }));
    expect(summary(await batch(true, ...items))).toEqual(['stored', 'stored']);
  });

  it('over HTTP is stored or refused as a whole', async () => {
    const good = await post('http/a?atomic=true', json('h-1', 'h-2'));
    expect(good.status).toBe(200);
    const [, second] = json('h-3', 'h-4');
    const bad = await post('http/a?atomic=true', [...json('h-3'), { ...second, type: '' }]);
    expect(bad.status).toBe(400);
    expect(await bad.json()).toMatchObject({ field: 'events[1].type' });
    const loose = await post('http/a', [...json('h-5'), { ...second, type: '' }]);
    expect(loose.status).toBe(207);
    expect(await stored('http/a')).toEqual(['h-1', 'h-2', 'h-5']);
  });
});

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('a trace context', () => {
  it('that comes beside the event is carried by the event; its own stays', async () => {
    const own = TRACEPARENT.replace('b7ad', 'ffff');
    await post('trace/a', [...json('t-1'), { ...json('t-2')[0], traceparent: own }], {
      traceparent: TRACEPARENT,
    });
    await post('trace/a', json('t-3'), { traceparent: 'nonsense' });
    await post('trace/a', json('t-4'));
    await site.client('publisher').publish('trace/a', {
      id: 'end',
      source: '/batch',
      type: 'end',
    });
    const events = await site.stored('trace/a', 'end');
    expect(events.map((event) => event.text('traceparent'))).toEqual([
      TRACEPARENT,
      own,
      undefined,
      undefined,
    ]);
    expect(Buffer.from(events[0]?.data?.bytes ?? []).toString()).toBe('"x"');
  });
});

describe('a stored record', () => {
  it('says by which rules it was admitted', async () => {
    const client = site.client('publisher');
    const event = (id: string, type = 'test') => encodeEvent({ id, source: '/batch', type });
    await client.publish('stamp/a', event('1'));
    const topic = { tenant: 'default', topicFilter: 'stamp/#', eventTypes: ['other'] };
    await site.governance.putTopic({ topic });
    // Until the emesher has the new rules.
    await eventually(() =>
      expect(client.publish('stamp/a', event('2'))).rejects.toMatchObject({
        reason: 'EVENT_TYPE_NOT_IN_CATALOGUE',
      }),
    );
    await client.publish('stamp/a', event('3', 'other'));
    expect(await site.process.end('SIGTERM')).toBe(0);
    const stamped = (await records()).filter(({ topic }) => topic === 'stamp/a');
    expect(stamped.every(({ handling }) => handling.grantsRevision > 0)).toBe(true);
    const [first, last] = [stamped[0], stamped.at(-1)].map((one) => one?.handling.policyRevision);
    expect(last).toBeGreaterThan(first ?? 0);
  });
});

/** What the killed site has in its log of events. */
async function records(): Promise<RecordView[]> {
  const store = await openEmbeddedStore({
    dir: join(dir.path, 'west/store'),
    onFatal: (error) => {
      throw error;
    },
  });
  const found: RecordView[] = [];
  for (let partition = 0; partition < 4; partition++) {
    const from = { kind: 'position', position: 0 } as const;
    const options = { log: 'events.default', partition, from, stopAtEnd: true };
    for await (const item of store.read(options)) {
      if (item.kind === 'batch') found.push(...item.records.map((bytes) => decodeRecord(bytes)));
    }
  }
  await store.close();
  return found;
}
