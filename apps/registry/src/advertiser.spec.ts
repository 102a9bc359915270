import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import { AdvertisementSchema } from '@eventmesh/proto-gen/registry';
import { SubscriptionSchema } from '@eventmesh/proto-gen/subscriber';
import { eventually } from '@eventmesh/testing';
import { testParts, type TestParts } from '../e2e/parts.ts';
import { Advertiser } from './advertiser.ts';
import { encodeText, key } from './keys.ts';

const LINGER_MS = 2000;
let parts: TestParts;
let advertiser: Advertiser;

beforeEach(async () => {
  parts = await testParts('west');
  advertiser = new Advertiser(parts, LINGER_MS, (error) => parts.errors.push(error));
  await parts.state.ready;
  advertiser.start();
});

afterEach(async () => {
  await advertiser.close();
  await parts.close();
  expect(parts.errors).toEqual([]);
});

const never = new AbortController().signal;

async function put(name: string, ...topicFilters: string[]): Promise<bigint> {
  const value = create(SubscriptionSchema, { name, tenant: 'acme', topicFilters });
  const result = await parts.kv.put(
    key('subscriptions', 'acme', name),
    toBinary(SubscriptionSchema, value),
  );
  return advertiser.covers(result.revision, never);
}

async function remove(name: string): Promise<bigint> {
  const { revision } = await parts.kv.delete(key('subscriptions', 'acme', name));
  return advertiser.covers(revision, never);
}

const filters = () => advertiser.own?.interest.map(({ topicFilter }) => topicFilter);

describe('Advertiser', () => {
  it('adds interest at once and removes it only after the linger', async () => {
    const added = await put('s', 'a');
    expect(filters()).toEqual(['a']);
    expect(await remove('s')).toBe(added);
    await parts.clock.advance(LINGER_MS - 1);
    await advertiser.covers(parts.state.revision, never);
    expect(filters()).toEqual(['a']);
    await parts.clock.advance(1);
    await eventually(() => expect(filters()).toEqual([]));
    expect(advertiser.own?.interestVersion).toBe(added + 1n);
  });

  it('interest that comes back within the linger changes nothing', async () => {
    const added = await put('s', 'a');
    await remove('s');
    await parts.clock.advance(LINGER_MS / 2);
    expect(await put('s', 'a')).toBe(added);
    await parts.clock.advance(LINGER_MS * 2);
    expect(await advertiser.covers(parts.state.revision, never)).toBe(added);
    expect(filters()).toEqual(['a']);
  });

  it('a wider filter takes the narrow one over at once', async () => {
    await put('s', 'a/b');
    await put('t', 'a/#');
    expect(filters()).toEqual(['a/#']);
  });

  it('names a link while any replica keeps it up, at the least cost', async () => {
    await parts.kv.put(key('links', 'mid', 'one'), encodeText('5'));
    await parts.kv.put(key('links', 'mid', 'two'), encodeText('3'));
    await eventually(() =>
      expect(advertiser.own?.links).toMatchObject([{ toSite: 'mid', cost: 3 }]),
    );
    const version = advertiser.own?.interestVersion;
    await parts.kv.delete(key('links', 'mid', 'two'));
    await eventually(() =>
      expect(advertiser.own?.links).toMatchObject([{ toSite: 'mid', cost: 5 }]),
    );
    await parts.kv.delete(key('links', 'mid', 'one'));
    await eventually(() => expect(advertiser.own?.links).toEqual([]));
    expect(advertiser.own?.interestVersion).toBe(version);
  });

  it('outbids a newer advertisement of its own site, once a second at most', async () => {
    await put('s', 'a');
    const meet = (epoch: bigint) =>
      advertiser.outbid(
        create(AdvertisementSchema, { site: 'west', epoch, sequence: 1n, interestVersion: 70n }),
      );
    const far = BigInt(parts.clock.now()) + 1_000_000n;
    meet(far);
    await parts.clock.advance(0);
    await eventually(() => expect(advertiser.own?.epoch).toBe(far + 1n));
    expect(advertiser.own?.interestVersion).toBe(71n);
    meet(far + 5n);
    await advertiser.covers(parts.state.revision, never);
    expect(advertiser.own?.epoch).toBe(far + 1n);
    await parts.clock.advance(1000);
    await eventually(() => expect(advertiser.own?.epoch).toBe(far + 6n));
    expect(filters()).toEqual(['a']);
  });

  it('stays below the largest advertisement by widening, and loses no topic', async () => {
    const long = 'x'.repeat(900);
    for (let n = 0; n < 32; n++) {
      const some = Array.from({ length: 64 }, (_, m) => `${n}/${m}/${long}`);
      await put(`s${n}`, ...some);
    }
    const own = advertiser.own;
    if (own === undefined) throw new Error('nothing was advertised');
    expect(toBinary(AdvertisementSchema, own).length).toBeLessThan(1_000_000);
    for (let n = 0; n < 32; n++) {
      expect(filters()?.some((filter) => filter === '#' || filter.startsWith(`${n}/`))).toBe(true);
    }
  });
});
