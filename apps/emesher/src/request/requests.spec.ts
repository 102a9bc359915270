import { describe, expect, it } from '@jest/globals';
import type { PublishItem, Receipt } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import {
  EventView,
  decodeRecord,
  encodeEvent,
  encodeRecord,
  parseTimestamp,
  type AttributeValue,
} from '@eventmesh/event';
import type { ResolvedTopic } from '../publish/resolve.ts';
import type { CallerSession } from '../session.ts';
import { Slots } from '../slots.ts';
import { Inboxes } from './inboxes.ts';
import { Requests, type RequestOutcome } from './requests.ts';

const LIMITS = { eventBytesMax: 65_536, attributesMax: 16 };
const text = (value: string): AttributeValue => ({ kind: 'string', value });
const event = (attributes: [string, AttributeValue][] = []) =>
  encodeEvent({
    id: '1',
    source: '/s',
    type: 't',
    attributes,
    data: { kind: 'binary', bytes: Buffer.from([0, 255, 10]) },
  });

const RECEIPT: Receipt = {
  site: 'west',
  partition: 0,
  position: 1,
  duplicate: false,
  durability: 'fsync',
  noInterest: false,
  destinations: [],
};

interface Given {
  readonly outcome?: Receipt | MeshError;
  readonly resolved?: Partial<ResolvedTopic>;
  readonly pendingMax?: number;
}

const WANTED = { durable: false, direct: true };

/** Requests whose event is published into `published`, with the real inboxes behind. */
function setUp({ outcome = RECEIPT, resolved = {}, pendingMax = 2 }: Given = {}) {
  const published: PublishItem[] = [];
  const outcomes: RequestOutcome[] = [];
  const draining = new AbortController();
  const place = { site: 'west', member: 'm' };
  const inboxes = new Inboxes({
    ...place,
    now: Date.now,
    isSister: () => false,
    onReply: () => undefined,
  });
  const requests = new Requests({
    ...place,
    now: Date.now,
    limits: () => LIMITS,
    resolver: {
      resolve: () => ({ allowed: true, wanted: WANTED, ...resolved }) as ResolvedTopic,
    },
    publisher: {
      publish: async (_, items) => {
        published.push(...items);
        return items.map(() => outcome);
      },
    },
    inboxes,
    slots: new Slots({ max: pendingMax, maxPerTenant: pendingMax }, 'requests', 'REQUESTS_MAX'),
    draining: draining.signal,
    onEnded: (_, ended) => outcomes.push(ended),
  });
  const caller = { principal: { tenant: 'acme' } } as CallerSession;
  const ask = (item: Partial<PublishItem> = {}, timeoutMs = 60_000, signal?: AbortSignal) =>
    requests.request(
      caller,
      { topic: 'questions', event: event(), ...item },
      signal === undefined ? { timeoutMs } : { timeoutMs, signal },
    );
  const stamped = () => new EventView(published[0]?.event ?? Buffer.of());
  const answer = () => {
    const topic = stamped().text('replyto') ?? '';
    const head = { tenant: 'acme', topic, principal: 'p', originSite: 'east', destinations: [] };
    const bytes = encodeEvent({ id: 'reply', source: '/s', type: 't' });
    return inboxes.deliver(
      decodeRecord(encodeRecord({ ...head, ingressTimeUs: 1, hops: [] }, bytes)),
    );
  };
  return { ask, answer, published, stamped, outcomes, draining, inboxes };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a request', () => {
  it('is the event with an address, a correlation id and an end, and resolves with the reply', async () => {
    const { ask, answer, stamped, outcomes, inboxes } = setUp();
    const before = Date.now();
    const asked = ask({}, 5000);
    await turn();
    const view = stamped();
    expect(view.text('replyto')).toMatch(/^\$inbox\/west\/m\/[A-Za-z0-9_-]{22}$/);
    expect(view.text('correlationid')).toMatch(/^[0-9a-f-]{36}$/);
    const end = parseTimestamp(view.text('expirytime') ?? '', 'expirytime');
    expect(end.seconds * 1000 + end.nanos / 1e6 - before).toBeGreaterThanOrEqual(5000);
    expect([view.id, view.source, view.type]).toEqual(['1', '/s', 't']);
    expect(Buffer.from(view.data?.bytes ?? [])).toEqual(Buffer.from([0, 255, 10]));
    expect(answer()).toBe(true);
    expect(new EventView(await asked).id).toBe('reply');
    expect([outcomes, inboxes.size]).toEqual([['answered'], 0]);
  });

  it('keeps a correlation id and an earlier end of its own, and brings a later end forward', async () => {
    const at = (ms: number): AttributeValue => ({
      kind: 'timestamp',
      seconds: Math.floor(ms / 1000),
      nanos: 0,
    });
    for (const [ms, kept] of [
      [Date.now() + 1000, true],
      [Date.now() + 100_000, false],
    ] as const) {
      const { ask, answer, stamped } = setUp();
      const own = event([
        ['correlationid', text('c-1')],
        ['expirytime', at(ms)],
      ]);
      const asked = ask({ event: own }, 10_000);
      await turn();
      expect(stamped().text('correlationid')).toBe('c-1');
      const end = parseTimestamp(stamped().text('expirytime') ?? '', 'e').seconds;
      expect(end === Math.floor(ms / 1000)).toBe(kept);
      expect(end).toBeLessThanOrEqual(Math.floor(ms / 1000));
      answer();
      await asked;
    }
  });

  it('ends at its deadline when nobody answers, and leaves nothing behind', async () => {
    const { ask, answer, outcomes, inboxes } = setUp();
    await expect(ask({}, 1)).rejects.toMatchObject({
      code: 'DeadlineExceeded',
      reason: 'NO_REPLY',
    });
    expect([answer(), outcomes, inboxes.size]).toEqual([false, ['timeout'], 0]);
  });

  it.each<[string, Given, object, RequestOutcome]>([
    [
      'nobody wants the topic',
      { resolved: { wanted: { durable: false, direct: false } } },
      { code: 'FailedPrecondition', reason: 'NO_INTEREST' },
      'no-interest',
    ],
    [
      'nobody wanted it when it was stored',
      { outcome: { ...RECEIPT, noInterest: true } },
      { reason: 'NO_INTEREST' },
      'no-interest',
    ],
    [
      'its id was used before',
      { outcome: { ...RECEIPT, duplicate: true } },
      { code: 'AlreadyExists', reason: 'DUPLICATE_REQUEST' },
      'refused',
    ],
    [
      'the store is away',
      { outcome: new MeshError('Unavailable', 'away') },
      { code: 'Unavailable' },
      'refused',
    ],
    [
      'the caller may not publish there',
      { resolved: { allowed: false } },
      { code: 'PermissionDenied' },
      'refused',
    ],
    [
      'too many wait',
      { pendingMax: 0 },
      { code: 'ResourceExhausted', reason: 'REQUESTS_MAX' },
      'refused',
    ],
  ])('is refused at once when %s', async (_, given, error, outcome) => {
    const { ask, outcomes, inboxes } = setUp(given);
    await expect(ask()).rejects.toMatchObject(error);
    expect([outcomes, inboxes.size]).toEqual([[outcome], 0]);
  });

  it.each<[string, Partial<PublishItem>, number, string]>([
    ['no time', {}, 0, 'timeoutMs'],
    ['more time than there is', {}, 300_001, 'timeoutMs'],
    ['an inbox for a topic', { topic: '$inbox/west/m/x' }, 1000, 'topic'],
    ['a replyto of its own', { event: event([['replyto', text('x')]]) }, 1000, 'replyto'],
    ['a schedule', { deliverAfterMs: 1 }, 1000, 'deliverAtMs'],
    ['a delivertime', { event: event([['delivertime', text('x')]]) }, 1000, 'delivertime'],
    ['no event', { event: Buffer.of() }, 1000, 'specversion'],
  ])('with %s is not valid', async (_, item, timeoutMs, field) => {
    const { ask, published } = setUp();
    await expect(ask(item, timeoutMs)).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field },
    });
    expect(published).toEqual([]);
  });

  it('ends when the requester leaves and when the emesher drains', async () => {
    const { ask, outcomes, draining, inboxes } = setUp();
    const gone = new AbortController();
    const left = ask({}, 60_000, gone.signal);
    const drained = ask();
    gone.abort();
    await expect(left).rejects.toMatchObject({ code: 'Cancelled' });
    expect(inboxes.size).toBe(1);
    draining.abort();
    await expect(drained).rejects.toMatchObject({ code: 'Unavailable', reason: 'DRAINING' });
    expect([outcomes, inboxes.size]).toEqual([['gone', 'refused'], 0]);
  });
});
