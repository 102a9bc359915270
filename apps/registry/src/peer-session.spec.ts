import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { AdvertisementSchema } from '@eventmesh/proto-gen/registry';
import { AcknowledgementsSchema, AdvertisementsSchema } from '@eventmesh/proto-gen/registry';
import { eventually } from '@eventmesh/testing';
import { testParts, type TestParts } from '../e2e/parts.ts';
import { Advertiser } from './advertiser.ts';
import { LinkState } from './link-state.ts';
import { PeerSession } from './peer-session.ts';

const SITES_MAX = 4;
const OPTIONS = { pingMs: 1000, deadAfterMs: 3000, queueMax: 10_000 };
let parts: TestParts;
let advertiser: Advertiser;
let linkState: LinkState;
const sessions: PeerSession[] = [];
const synced: string[] = [];

beforeEach(async () => {
  parts = await testParts('west');
  const onError = (error: unknown) => parts.errors.push(error);
  advertiser = new Advertiser(parts, 0, onError);
  linkState = new LinkState(parts, advertiser, SITES_MAX, onError);
  await parts.state.ready;
  advertiser.start();
  await advertiser.covers(1, new AbortController().signal);
});

afterEach(async () => {
  for (const session of sessions.splice(0)) session.end();
  await linkState.close();
  await advertiser.close();
  await parts.close();
  expect(parts.errors).toEqual([]);
});

/** A session and the news it sends, pings left out. */
function opened(): { session: PeerSession; sent: string[] } {
  const session = new PeerSession(parts, linkState, OPTIONS);
  sessions.push(session);
  const sent: string[] = [];
  const reading = async () => {
    for await (const { message } of session.output) {
      const value = message.value as Record<string, { site: string; sequence?: bigint }[]>;
      for (const item of value['advertisements'] ?? []) sent.push(`${item.site} ${item.sequence}`);
      for (const item of value['acknowledgements'] ?? []) sent.push(`ack of ${item.site}`);
    }
  };
  reading().catch(() => undefined);
  session.start('mid', () => synced.push('mid'));
  return { session, sent };
}

type Init = MessageInitShape<typeof AdvertisementSchema>;

const advertise = (session: PeerSession, ...advertisements: Init[]) =>
  session.receive({
    case: 'advertisements',
    value: create(AdvertisementsSchema, { advertisements }),
  });

const from = (site: string, sequence = 1n): Init => ({ site, epoch: 7n, sequence });
const received = (result: string) =>
  parts.values.value('eventmesh_registry_advertisements_received_total', { result });
const known = (site: string) => parts.state.maps.advertisements.get(site)?.value.sequence;

const BAD: Readonly<Record<string, Init>> = {
  'an illegal site name': from('../x'),
  'a negative epoch': { site: 'mid', epoch: -1n },
  'a broken topic filter': { site: 'mid', interest: [{ tenant: 'a', topicFilter: 'a/#/b' }] },
  'more than fits': {
    site: 'mid',
    interest: Array.from({ length: 1000 }, (_, n) => ({
      tenant: 'a',
      topicFilter: `${n}/${'x'.repeat(1000)}`,
    })),
  },
  'too many links': { site: 'mid', links: Array.from({ length: 1001 }, () => ({})) },
};

describe('PeerSession', () => {
  it('sends the database first and floods news to all but who told it', async () => {
    const a = opened();
    const b = opened();
    await eventually(() => expect([a.sent, b.sent]).toEqual([['west 1'], ['west 1']]));
    advertise(a.session, from('mid'));
    await eventually(() => expect(b.sent).toEqual(['west 1', 'mid 1']));
    advertise(b.session, from('mid', 2n));
    await eventually(() => expect(a.sent).toEqual(['west 1', 'mid 2']));
    const c = opened();
    await eventually(() => expect(c.sent.sort()).toEqual(['mid 2', 'west 1']));
    expect(b.sent).toEqual(['west 1', 'mid 1']);
  });

  it('tells a neighbour that sends something old what is newer', async () => {
    const a = opened();
    advertise(a.session, from('mid', 5n));
    await eventually(() => expect(known('mid')).toBe(5n));
    const b = opened();
    await eventually(() => expect(b.sent).toContain('mid 5'));
    advertise(b.session, from('mid', 4n));
    await eventually(async () => expect(await received('stale')).toBe(1));
    expect(known('mid')).toBe(5n);
  });

  it('floods acknowledgements of known sites, none in the name of this one', async () => {
    const a = opened();
    const b = opened();
    advertise(a.session, from('mid'));
    const ack = (site: string) => ({ site, ofSite: 'far', epoch: 1n, interestVersion: 1n });
    a.session.receive({
      case: 'acknowledgements',
      value: create(AcknowledgementsSchema, {
        acknowledgements: [ack('mid'), ack('west'), ack('unknown'), ack('mid')],
      }),
    });
    await eventually(() => expect(b.sent).toContain('ack of mid'));
    expect([...parts.state.maps.acknowledgements.keys()]).toEqual(['mid']);
    expect(a.sent).toEqual(['west 1']);
  });

  it.each(Object.keys(BAD))('refuses an advertisement with %s, and goes on', async (what) => {
    const a = opened();
    advertise(a.session, BAD[what] ?? {}, from('good'));
    await eventually(() => expect(known('good')).toBe(1n));
    expect(await received('refused')).toBe(1);
    expect([...parts.state.maps.advertisements.keys()].sort()).toEqual(['good', 'west']);
  });

  it('refuses more sites than the database may hold, and still takes news of known ones', async () => {
    const a = opened();
    advertise(a.session, from('s1'), from('s2'), from('s3'), from('s4'));
    await eventually(() => expect(known('s3')).toBe(1n));
    advertise(a.session, from('s4'), from('s1', 2n));
    await eventually(() => expect(known('s1')).toBe(2n));
    expect(known('s4')).toBeUndefined();
    expect(await received('refused')).toBe(2);
  });

  it('ends when the neighbour is silent too long, not before', async () => {
    const a = opened();
    await parts.clock.advance(3000);
    a.session.receive({ case: 'ping', value: { nonce: 1n } as never });
    await parts.clock.advance(3000);
    a.session.receive({ case: 'ping', value: { nonce: 2n } as never });
    await parts.clock.advance(4000);
    await expect(a.session.ended).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('is in sync only when the own advertisement of the neighbour is in the control state', async () => {
    synced.length = 0;
    const a = opened();
    advertise(a.session, from('far'));
    await eventually(() => expect(known('far')).toBe(1n));
    expect(synced).toEqual([]);
    advertise(a.session, from('mid'), from('far', 2n));
    await eventually(() => expect(synced).toEqual(['mid']));
    expect(known('mid')).toBe(1n);
    advertise(a.session, from('mid', 2n));
    await eventually(() => expect(known('mid')).toBe(2n));
    expect(synced).toEqual(['mid']);
  });

  it('ends on a second hello', async () => {
    const a = opened();
    a.session.receive({ case: 'hello', value: { site: 'mid', toSite: 'west' } as never });
    await expect(a.session.ended).rejects.toMatchObject({ code: 'InvalidArgument' });
  });
});
