import { describe, expect, it } from '@jest/globals';
import type { SubscriptionsPort } from '@eventmesh/adapter-api';
import { eventually } from '../eventually.ts';
import { expectCode, facts, refusal, type Suite } from './suite.ts';

export function describeSubscriptions(suite: Suite): void {
  const port = (): SubscriptionsPort => suite.port.subscriptions;

  describe('subscriptions', () => {
    it('answers the same when the same is created again, whatever its start and pause', async () => {
      const { name, topic, made } = await suite.subscription({ inFlightMax: 5 });
      expect(made).toMatchObject({ name, topicFilters: [topic], inFlightMax: 5, paused: false });
      expect(made).toMatchObject({ tenant: expect.any(String), owner: 'user:alice' });
      const spec = { name, topicFilters: [topic], inFlightMax: 5 };
      expect(await port().create(suite.session(), spec)).toEqual(made);
      const start = { kind: 'earliest' } as const;
      const other = { ...spec, start, paused: true };
      expect(await port().create(suite.session(), other)).toEqual(made);
    });

    it('refuses to create another one of a name, and leaves the first as it is', async () => {
      const { name, topic, made } = await suite.subscription();
      const spec = { name, topicFilters: [topic], ordered: true };
      const error = await refusal(port().create(suite.session(), spec));
      expect(facts(error)).toEqual({
        code: 'AlreadyExists',
        reason: 'SUBSCRIPTION_DIFFERS',
        field: 'name',
      });
      const { subscription } = await port().get(suite.session(), name);
      expect(subscription).toEqual(made);
    });

    it.each([
      ['a name', { name: 'a b' }, { field: 'name' }],
      ['no topic filters', { topicFilters: [] }, { field: 'topicFilters', limit: /1 to 64/ }],
      ['a bound', { inFlightMax: 0 }, { field: 'inFlightMax', limit: /1 to 65536/ }],
      [
        'what the direct class cannot do',
        { deliveryClass: 'direct', ordered: true },
        { field: 'ordered', reason: 'DIRECT_CLASS' },
      ],
      [
        'a start that has not come',
        { start: { kind: 'time', timeMs: 32_503_680_000_000 } },
        { field: 'start.timeMs', reason: 'START_IN_FUTURE' },
      ],
    ] as const)('refuses %s that cannot be, naming the field', async (_, change, wanted) => {
      const { name, topic } = suite.fresh();
      const spec = { name, topicFilters: [topic], ...change };
      const { limit, ...more } = { limit: /(?:)/, ...wanted };
      const error = await refusal(port().create(suite.session(), spec));
      expect(facts(error)).toMatchObject({ code: 'InvalidArgument', ...more });
      expect(error.details.limit ?? '').toMatch(limit);
    });

    it('are listed in pages by name, each once, and to those alone who may see them', async () => {
      const names: string[] = [];
      for (let n = 0; n < 3; n++) names.push((await suite.subscription()).name);
      const shared = suite.fresh('public');
      await port().create(suite.session(), { name: shared.name, topicFilters: [shared.topic] });
      const all = await listed('alice');
      expect(all).toEqual([...new Set(all)].sort());
      expect(all).toEqual(expect.arrayContaining([...names, shared.name]));
      expect(await listed('mallory')).toEqual([]);
      const seen = await listed('reader');
      expect(seen).toContain(shared.name);
      for (const name of names) expect(seen).not.toContain(name);
      const page = { size: 2, token: 'nonsense' };
      const error = await refusal(port().list(suite.session(), page));
      expect(facts(error)).toMatchObject({ code: 'InvalidArgument', field: 'token' });
    });

    it('changes what is given and leaves all else, by its revision when that is given', async () => {
      const { name, made } = await suite.subscription({ ackTimeoutMs: 5000 });
      const changed = await port().update(suite.session(), {
        name,
        inFlightMax: 3,
        retry: { attemptsMax: 4 },
        revision: made.revision,
      });
      const retry = { ...made.retry, attemptsMax: 4 };
      const { revision } = changed;
      expect(changed).toEqual({ ...made, inFlightMax: 3, retry, revision });
      expect(revision).toBeGreaterThan(made.revision);
      const stale = { name, inFlightMax: 9, revision: made.revision };
      const error = await refusal(port().update(suite.session(), stale));
      expect(facts(error)).toMatchObject({ code: 'Aborted', field: 'revision' });
      expect((await port().get(suite.session(), name)).subscription).toEqual(changed);
    });

    it.each([
      ['mode', { mode: 'exclusive' }],
      ['deliveryClass', { deliveryClass: 'direct' }],
      ['ephemeral', { ephemeral: true }],
    ] as const)('refuses to change the %s', async (field, change) => {
      const { name } = await suite.subscription();
      const error = await refusal(port().update(suite.session(), { name, ...change }));
      expect(facts(error)).toMatchObject({ code: 'InvalidArgument', field });
    });

    it('ends the attachments of what is changed, and goes on by the new spec', async () => {
      const { name, topic } = await suite.subscription();
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      const filters = [{ exact: { type: 'wanted' } }];
      await port().update(suite.session(), { name, filters });
      await eventually(() => expect(consumer.sink.end).toBeDefined());
      const reason = consumer.sink.end?.reason;
      expect(reason).toMatchObject({ code: 'Aborted', reason: 'SUBSCRIPTION_CHANGED' });
      await suite.publish(topic, ['1'], { key: 'k' });
      await suite.publish(topic, ['2'], { key: 'k', type: 'wanted' });
      const again = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await again.got(1)).toEqual(['2']);
    });

    it('refuses to be widened to topics that the caller has no right to', async () => {
      const { name, topic } = suite.fresh('public');
      await port().create(suite.session('reader'), { name, topicFilters: [topic] });
      const wider = port().update(suite.session('reader'), { name, topicFilters: ['#'] });
      expect(facts(await refusal(wider))).toMatchObject({ code: 'PermissionDenied' });
    });

    async function listed(caller: 'alice' | 'reader' | 'mallory'): Promise<string[]> {
      const names: string[] = [];
      let token = '';
      do {
        const page = await port().list(suite.session(caller), { size: 2, token });
        expect(page.items.length).toBeLessThanOrEqual(2);
        names.push(...page.items.map(({ subscription }) => subscription.name));
        token = page.nextToken;
      } while (token !== '');
      return names;
    }
  });

  describeStates(suite, port);
  describeUnknown(suite, port);
}

function describeStates(suite: Suite, port: () => SubscriptionsPort): void {
  describe('a subscription', () => {
    it('delivers nothing while it is paused, and goes on where it was', async () => {
      const { name, topic } = await suite.subscription();
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await port().pause(suite.session(), name, true)).toMatchObject({ paused: true });
      await suite.publish(topic, ['1', '2'], { key: 'k' });
      await suite.books(name, { held: 2 });
      expect(await consumer.drained()).toEqual([]);
      expect(await port().pause(suite.session(), name, false)).toMatchObject({ paused: false });
      consumer.attachment.credit(9);
      expect(await consumer.got(2)).toEqual(['1', '2']);
      expect(consumer.sink.end).toBeUndefined();
    });

    it('can be settled while it is paused', async () => {
      const { name, topic } = await suite.subscription();
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      await suite.publish(topic, ['1']);
      const { id } = await consumer.delivery(0);
      await port().pause(suite.session(), name, true);
      expect(consumer.attachment.settle([id], { kind: 'accept' }).refused).toEqual([]);
      await suite.books(name, { delivered: 1, held: 0 });
    });

    it('delivers again from where it is moved to; its consumers are told to come back', async () => {
      const { name, topic } = await suite.subscription();
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      const [first] = await suite.publish(topic, ['1', '2'], { key: 'k' });
      await consumer.got(2);
      consumer.attachment.settle(
        consumer.sink.deliveries.map(({ id }) => id),
        { kind: 'accept' },
      );
      const { partition = 0, position = 0 } = first ?? {};
      await port().seek(suite.session(), name, { kind: 'position', partition, position });
      await eventually(() =>
        expect(consumer.sink.end?.reason).toMatchObject({ code: 'Aborted', reason: 'SEEK' }),
      );
      const again = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await again.got(2)).toEqual(['1', '2']);
      expect(again.sink.deliveries.map(({ attempt }) => attempt)).toEqual([1, 1]);
    });

    it('is gone when it is deleted, and another one of its name begins anew', async () => {
      const { name, topic, made } = await suite.subscription();
      await suite.publish(topic, ['1'], { key: 'k' });
      await port().delete(suite.session(), name);
      await expectCode(port().get(suite.session(), name), 'NotFound');
      const spec = { name, topicFilters: [topic], inFlightMax: 2 };
      const anew = await port().create(suite.session(), spec);
      expect(anew.revision).not.toBe(made.revision);
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      await suite.publish(topic, ['2'], { key: 'k' });
      expect(await consumer.got(1)).toEqual(['2']);
    });

    it('keeps what comes while nobody is attached', async () => {
      const { name, topic } = await suite.subscription();
      await (await suite.attach({ subscription: name })).leave();
      await suite.publish(topic, ['1']);
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await consumer.got(1)).toEqual(['1']);
    });

    it('answers who knows of the interest', async () => {
      await suite.subscription();
      expect(await port().converge(suite.session(), 5000)).toMatchObject({ unreachableSites: [] });
    });
  });
}

function describeUnknown(suite: Suite, port: () => SubscriptionsPort): void {
  const calls: [
    string,
    (name: string, caller: 'alice' | 'reader' | 'mallory') => Promise<unknown>,
  ][] = [
    ['get', (name, caller) => port().get(suite.session(caller), name)],
    ['update', (name, caller) => port().update(suite.session(caller), { name, inFlightMax: 1 })],
    ['pause', (name, caller) => port().pause(suite.session(caller), name, true)],
    ['seek', (name, caller) => port().seek(suite.session(caller), name, { kind: 'latest' })],
    ['delete', (name, caller) => port().delete(suite.session(caller), name)],
  ];
  const unknown = { code: 'NotFound', field: 'name' };

  describe('a subscription that is not there, or not for the caller,', () => {
    it.each(calls)('is unknown to %s', async (_, call) => {
      const { name } = suite.fresh();
      expect(facts(await refusal(call(name, 'alice')))).toMatchObject(unknown);
      const { name: ours, made } = await suite.subscription();
      for (const caller of ['reader', 'mallory'] as const) {
        expect(facts(await refusal(call(ours, caller)))).toMatchObject(unknown);
      }
      expect((await port().get(suite.session(), ours)).subscription).toEqual(made);
    });

    it('is not created without the right to its topics', async () => {
      const { name, topic } = suite.fresh();
      const create = port().create(suite.session('reader'), { name, topicFilters: [topic] });
      const error = await refusal(create);
      expect(facts(error)).toMatchObject({ code: 'PermissionDenied', reason: 'NO_GRANT' });
      expect(error.details.facts).toMatchObject({ action: 'subscribe', resource: topic });
      await expectCode(port().get(suite.session(), name), 'NotFound');
    });
  });
}
