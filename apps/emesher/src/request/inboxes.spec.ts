import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  checkTopicFilter,
  decodeRecord,
  encodeEvent,
  encodeRecord,
  topicMatches,
} from '@eventmesh/event';
import {
  inboxClass,
  inboxTopic,
  newToken,
  parseInboxTopic,
  readInboxTopic,
} from './inbox-address.ts';
import { Inboxes, type ReplyOutcome } from './inboxes.ts';

const TOKEN = 'A'.repeat(22);

describe('the address of an inbox', () => {
  it('is read as it was made, whatever site and member are called', () => {
    const name = fc.string({ minLength: 1, unit: 'grapheme' });
    fc.assert(
      fc.property(name, name, (site, member) => {
        const topic = inboxTopic({ site, member, token: newToken() });
        expect(topic.split('/')).toHaveLength(4);
        expect(inboxTopic(parseInboxTopic(topic))).toBe(topic);
        expect(parseInboxTopic(topic)).toMatchObject({ site, member });
      }),
    );
  });

  it.each([
    '$inbox/',
    '$inbox/west/m',
    '$inbox/west/m/',
    '$inbox/west/m/#',
    `$inbox/west/m/${TOKEN}/more`,
    `$inbox/west/m/${TOKEN.slice(1)}`,
    `$inbox/%E0%A4%A/m/${TOKEN}`,
    `inbox/west/m/${TOKEN}`,
  ])('%s is none', (topic) => {
    expect(readInboxTopic(topic)).toBeUndefined();
    expect(() => parseInboxTopic(topic)).toThrow(/whole address of an inbox/);
  });

  it.each(['#', '+/west/m/+', '+/#'])('no filter like %s matches it', (filter) => {
    const topic = inboxTopic({ site: 'west', member: 'm', token: TOKEN });
    expect(topicMatches(checkTopicFilter(filter), topic)).toBe(false);
  });

  it('takes the direct class, and no other', () => {
    const topic = inboxTopic({ site: 'west', member: 'm', token: TOKEN });
    const event = new Uint8Array();
    expect(inboxClass({ topic, event })).toBe('direct');
    expect(inboxClass({ topic, event, deliveryClass: 'direct' })).toBe('direct');
    expect(() => inboxClass({ topic, event, deliveryClass: 'durable' })).toThrow(/deliveryClass/);
    expect(inboxClass({ topic: 'orders', event, deliveryClass: 'durable' })).toBeUndefined();
  });
});

describe('inboxes', () => {
  const reply = (topic: string, tenant = 'acme', expiryMs = 0) =>
    decodeRecord(
      encodeRecord(
        {
          tenant,
          topic,
          principal: 'p',
          originSite: 'east',
          destinations: [],
          hops: [],
          ingressTimeUs: 1,
          expiryMs,
        },
        encodeEvent({ id: '1', source: '/s', type: 't' }),
      ),
    );

  function setUp() {
    const clock = { now: 1000 };
    const outcomes: [string, ReplyOutcome][] = [];
    const inboxes = new Inboxes({
      site: 'west',
      member: 'm-1',
      now: () => clock.now,
      isSister: (member) => member === 'm-2',
      onReply: (tenant, outcome) => outcomes.push([tenant, outcome]),
    });
    const answers: Uint8Array[] = [];
    const open = () =>
      inboxes.open({ tenant: 'acme', deadlineMs: 2000, answer: (event) => answers.push(event) });
    const address = (token: string, member = 'm-1', site = 'west') =>
      inboxTopic({ site, member, token });
    return { clock, outcomes, inboxes, answers, open, address };
  }

  it('give the first reply to who waits, and count the later ones', () => {
    const { inboxes, outcomes, answers, open, address } = setUp();
    const topic = address(open());
    expect([inboxes.deliver(reply(topic)), inboxes.deliver(reply(topic))]).toEqual([true, false]);
    expect(answers).toHaveLength(1);
    expect(outcomes.map(([, outcome]) => outcome)).toEqual(['answered', 'late']);
    expect(inboxes.size).toBe(0);
  });

  it.each<[string, (given: ReturnType<typeof setUp>, token: string) => ReturnType<typeof reply>]>([
    ['of another tenant', ({ address }, token) => reply(address(token), 'evil')],
    ['for a former life of the emesher', ({ address }, token) => reply(address(token, 'm-0'))],
    ['for another site', ({ address }, token) => reply(address(token, 'm-1', 'east'))],
    ['that nobody asked for', ({ address }) => reply(address(TOKEN))],
    ['that has expired itself', ({ address }, token) => reply(address(token), 'acme', 999)],
    [
      'behind the deadline',
      ({ address, clock }, token) => {
        clock.now = 2000;
        return reply(address(token));
      },
    ],
  ])('leave a reply %s unread, counted', (_, make) => {
    const given = setUp();
    const token = given.open();
    expect(given.inboxes.deliver(make(given, token))).toBe(false);
    expect(given.answers).toEqual([]);
    expect(given.outcomes.map(([, outcome]) => outcome)).toEqual(['late']);
    expect(given.inboxes.size).toBe(1);
  });

  it('leave what is for another emesher of the site to that one', () => {
    const { inboxes, outcomes, open, address } = setUp();
    expect(inboxes.deliver(reply(address(open(), 'm-2')))).toBe(false);
    expect(outcomes).toEqual([]);
  });

  it('are gone once closed', () => {
    const { inboxes, outcomes, open, address } = setUp();
    const token = open();
    inboxes.close(token);
    inboxes.close(token);
    expect(inboxes.deliver(reply(address(token)))).toBe(false);
    expect(outcomes).toEqual([['acme', 'late']]);
  });
});
