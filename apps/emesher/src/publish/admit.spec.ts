import { afterEach, describe, expect, it } from '@jest/globals';
import type { PublishItem } from '@eventmesh/adapter-api';
import { MeshError, type ErrorDetails } from '@eventmesh/errors';
import { DeliveryClass, DurabilityClass, LatePolicy } from '@eventmesh/proto-gen/event';
import { EventType_Enforcement as Enforcement } from '@eventmesh/proto-gen/governance';
import { admit, type Admitted } from './admit.ts';
import { Gate, NOW, TENANT, bytes, caller, eventOf, item, json, type Policy } from './test/gate.ts';

const INBOX = '$inbox/west/m/AAAAAAAAAAAAAAAAAAAAAA';
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const OTHER_TRACE = '00-11111111111111111111111111111111-2222222222222222-01';
const YEAR_MS = 366 * 86_400_000;

const topic = (given: object = {}): Policy => ({
  topics: [{ tenant: TENANT, topicFilter: 'orders/#', ...given }],
});
const quota = (given: object, principal = ''): Policy => ({
  quotas: [{ tenant: TENANT, principal, ...given }],
});
const schema = (enforcement: Enforcement): Policy => ({
  eventTypes: [
    {
      ...{ tenant: TENANT, type: 'made', enforcement },
      jsonSchema: '{"type":"object","required":["total"]}',
    },
  ],
});
const withJson = (value: unknown) =>
  item({ data: json(value), attributes: { datacontenttype: 'application/json' } });

const gates: Gate[] = [];
afterEach(async () => {
  for (const gate of gates.splice(0)) await gate.close();
});

async function gateUnder(policy: Policy = {}): Promise<Gate> {
  const gate = new Gate(policy);
  gates.push(gate);
  await gate.policies.ready;
  return gate;
}

async function pass(
  given: PublishItem,
  { policy, numbered = false }: { policy?: Policy; numbered?: boolean } = {},
): Promise<Admitted> {
  const gate = await gateUnder(policy);
  return admit(gate.deps(), caller(), given, numbered);
}

/** Code and all that is told beside it, but for the message. */
type Refusal = [code: string, details: ErrorDetails];

function refusalOf(work: () => unknown): Refusal {
  try {
    work();
  } catch (thrown) {
    const { code, details, reason } = MeshError.from(thrown);
    return [code, { ...details, reason }];
  }
  throw new Error('was let through');
}

describe('what the gate refuses, with field, limit and reason:', () => {
  const invalid = (field: string, more: ErrorDetails = {}): Refusal => [
    'InvalidArgument',
    { field, reason: 'INVALID_ARGUMENT', ...more },
  ];
  const tooLarge = (limit: string): Refusal => [
    'PayloadTooLarge',
    { field: 'event', limit, reason: 'PAYLOAD_TOO_LARGE' },
  ];
  const strong = topic({ durabilityMin: DurabilityClass.QUORUM_FSYNC });
  const tooWeak = { limit: 'quorum-fsync', reason: 'STORE_TOO_WEAK' as const };

  it.each<[string, PublishItem, Refusal, Policy]>([
    ['more bytes than an event may have', item({ data: bytes(2000) }), tooLarge('2000 bytes'), {}],
    ['no event at all', item({}, { event: Buffer.of() }), invalid('specversion'), {}],
    [
      'more attributes than it may have',
      item({ attributes: { a: '1', b: '2', c: '3', d: '4', e: '5' } }),
      invalid('attributes', { limit: '4 attributes' }),
      {},
    ],
    ['a topic with a wildcard', item({}, { topic: 'orders/+' }), invalid('topic'), {}],
    ['a topic of the mesh', item({}, { topic: '$mesh/x' }), invalid('topic'), {}],
    [
      'a topic that the caller may not publish to',
      item({}, { topic: 'secrets/x' }),
      [
        'PermissionDenied',
        { reason: 'NO_GRANT', facts: { action: 'publish', resource: 'secrets/x' } },
      ],
      {},
    ],
    [
      'more bytes than the catalogue allows',
      item({ data: bytes(200) }),
      tooLarge('100 bytes'),
      topic({ eventBytesMax: 100n }),
    ],
    [
      'a type that is not in the catalogue',
      item({ type: 'other' }),
      invalid('type', { reason: 'EVENT_TYPE_NOT_IN_CATALOGUE' }),
      topic({ eventTypes: ['made'] }),
    ],
    [
      'data against its schema',
      withJson({}),
      invalid('data', { reason: 'SCHEMA', facts: { type: 'made' } }),
      schema(Enforcement.REFUSE),
    ],
    [
      'a durable reply',
      item({}, { topic: INBOX, deliveryClass: 'durable' }),
      invalid('deliveryClass'),
      {},
    ],
    [
      'a direct event where the catalogue demands durability',
      item({}, { deliveryClass: 'direct' }),
      ['FailedPrecondition', { field: 'deliveryClass', ...tooWeak }],
      strong,
    ],
    ['a store that is too weak for the topic', item(), ['FailedPrecondition', tooWeak], strong],
    [
      'a direct event for later',
      item({}, { deliveryClass: 'direct', deliverAtMs: NOW + 1 }),
      invalid('deliverAtMs'),
      {},
    ],
    [
      'an event for more than a year ahead',
      item({}, { deliverAtMs: NOW + YEAR_MS + 1 }),
      invalid('deliverAtMs', { limit: 'at most 366 days ahead' }),
      {},
    ],
    [
      'a life of no length',
      item({}, { expiresAfterMs: -1 }),
      invalid('expiresAfterMs', { limit: '1 to 3155760000000 ms' }),
      {},
    ],
    [
      'more bytes than the quota of the tenant allows',
      item({ data: bytes(200) }),
      tooLarge('100 bytes'),
      quota({ eventBytesMax: 100n }),
    ],
    [
      'more bytes than the quota of the caller allows',
      item({ data: bytes(200) }),
      tooLarge('100 bytes'),
      quota({ eventBytesMax: 100n }, 'ann'),
    ],
  ])('%s', async (_, given, refusal, policy) => {
    const gate = await gateUnder(policy);
    const session = caller(['orders/#', '$mesh/#']);
    expect(refusalOf(() => admit(gate.deps(), session, given))).toEqual(refusal);
  });

  it('events beyond the rate of a quota, which only those take that pass everything else', async () => {
    const gate = await gateUnder(quota({ eventsPerSecond: 1n }));
    const deps = gate.deps();
    const session = caller(['orders/#']);
    for (let round = 0; round < 3; round++) {
      expect(refusalOf(() => admit(deps, session, item({}, { topic: 'x' })))[0]).toBe(
        'PermissionDenied',
      );
      expect(refusalOf(() => admit(deps, session, item({ data: bytes(2000) })))[0]).toBe(
        'PayloadTooLarge',
      );
      expect(refusalOf(() => admit(deps, session, item({}, { deliverAtMs: -1 })))[0]).toBe(
        'InvalidArgument',
      );
    }
    admit(deps, session, item());
    expect(refusalOf(() => admit(deps, session, item()))).toEqual([
      'ResourceExhausted',
      { field: 'event', limit: '1 events a second', reason: 'QUOTA', retryAfterMs: 1000 },
    ]);
  });

  it('everything while governance has not said anything yet', async () => {
    const gate = new Gate(undefined);
    gates.push(gate);
    expect(refusalOf(() => admit(gate.deps(), caller(), item()))[0]).toBe('Unavailable');
  });
});

describe('a topic that demands durability', () => {
  it.each<[string, DurabilityClass, Gate['durability'], boolean]>([
    ['none, of a store that has not told', DurabilityClass.UNSPECIFIED, undefined, true],
    ['page-cache, of a store that does fsync', DurabilityClass.PAGE_CACHE, 'fsync', true],
    ['fsync, of a store that does fsync', DurabilityClass.FSYNC, 'fsync', true],
    ['fsync, of a store that does page-cache', DurabilityClass.FSYNC, 'page-cache', false],
    ['quorum-memory, of a store that does fsync', DurabilityClass.QUORUM_MEMORY, 'fsync', false],
    ['memory, of a store that has not told', DurabilityClass.MEMORY, undefined, false],
  ])('has what it demands or gets no event: %s', async (_, durabilityMin, have, may) => {
    const gate = await gateUnder(topic({ durabilityMin }));
    gate.durability = have;
    const work = () => admit(gate.deps(), caller(), item());
    if (may) expect(work().direct).toBe(false);
    else expect(refusalOf(work)[1].reason).toBe('STORE_TOO_WEAK');
  });
});

describe('the class of an event', () => {
  const direct = topic({ deliveryClass: DeliveryClass.DIRECT });
  const durable = topic({ deliveryClass: DeliveryClass.DURABLE });

  it.each<[string, PublishItem, Policy, boolean]>([
    ['durable without a word', item(), {}, false],
    ['durable when the catalogue does not say', item(), topic(), false],
    ['what the catalogue says: direct', item(), direct, true],
    ['what the catalogue says: durable', item(), durable, false],
    ['what its publisher says: direct', item({}, { deliveryClass: 'direct' }), durable, true],
    ['what its publisher says: durable', item({}, { deliveryClass: 'durable' }), direct, false],
    ['direct for a reply', item({}, { topic: INBOX }), {}, true],
  ])('is %s', async (_, given, policy, isDirect) => {
    expect((await pass(given, { policy })).direct).toBe(isDirect);
  });
});

describe('what passes the gate', () => {
  it('is stamped with what its record needs, and is otherwise as it was sent', async () => {
    const given = item({ id: 'a', attributes: { partitionkey: 'k' }, data: bytes(3) });
    const admitted = await pass(given);
    expect(admitted).toMatchObject({
      key: 'k',
      expiryMs: 0,
      deliverAtMs: 0,
      latePolicy: LatePolicy.UNSPECIFIED,
      direct: false,
      traceparent: '',
      traced: false,
      dedupKey: '/s\0a',
    });
    expect(admitted.event.bytes).toEqual(given.event);
    expect(admitted.resolved).toMatchObject({ topic: 'orders/eu', allowed: true });
  });

  it.each<[string, Partial<PublishItem>, Policy, Partial<Admitted>]>([
    ['the retention of its topic', {}, topic({ retentionMs: 50n }), { expiryMs: NOW + 50 }],
    ['its own life', { expiresAfterMs: 20 }, topic({ retentionMs: 50n }), { expiryMs: NOW + 20 }],
    [
      'its time, and a life that begins then',
      { deliverAfterMs: 100, expiresAfterMs: 20, latePolicy: 'skip' },
      {},
      { deliverAtMs: NOW + 100, expiryMs: NOW + 120, latePolicy: LatePolicy.SKIP },
    ],
    ['no time when that is over', { deliverAtMs: 1 }, {}, { deliverAtMs: 0 }],
    ['the trace context of the call', { traceparent: TRACE }, {}, { traceparent: TRACE }],
    ['no trace context that is none', { traceparent: 'junk' }, {}, { traceparent: '' }],
  ])('has %s', async (_, options, policy, expected) => {
    expect(await pass(item({}, options), { policy })).toMatchObject(expected);
  });

  it('has the trace context that its producer put into it before that of the call', async () => {
    const inside = { traceparent: OTHER_TRACE };
    const admitted = await pass(item({ attributes: inside }, { traceparent: TRACE }));
    expect(admitted).toMatchObject({ traceparent: OTHER_TRACE, traced: true });
  });

  it('tells consumers its end when its publisher has named its life', async () => {
    const { event } = await pass(item({}, { expiresAfterMs: 1000 }));
    expect(event.text('expirytime')).toBe('2027-01-01T00:00:01Z');
  });

  it('is due at once when its time is over and a producer has numbered it, unless it is direct', async () => {
    const numbered = true;
    const late = { deliverAtMs: 1 };
    expect((await pass(item({}, late), { numbered })).deliverAtMs).toBe(NOW);
    const direct = item({}, { ...late, deliveryClass: 'direct' });
    expect((await pass(direct, { numbered })).deliverAtMs).toBe(0);
  });

  it('is a reply without any grant, and nothing else', async () => {
    const gate = await gateUnder();
    const nobody = caller([]);
    const reply = { topic: INBOX, event: eventOf() };
    expect(admit(gate.deps(), nobody, reply).direct).toBe(true);
    expect(refusalOf(() => admit(gate.deps(), nobody, item()))[0]).toBe('PermissionDenied');
  });

  it('against a schema that only warns is in the audit', async () => {
    const gate = await gateUnder(schema(Enforcement.WARN));
    expect(admit(gate.deps(), caller(), withJson({ total: 1 })).direct).toBe(false);
    expect(admit(gate.deps(), caller(), withJson({})).direct).toBe(false);
    await gate.policies.auditSpool.flush();
    expect(gate.audited).toMatchObject([
      {
        tenant: TENANT,
        principal: 't/user:ann',
        action: 'publish',
        resource: 'made',
        outcome: 'done',
        reason: expect.stringMatching(/^schema: .*total/),
      },
    ]);
  });
});
