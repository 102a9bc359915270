import { describe, expect, it } from '@jest/globals';
import { eventually } from '../eventually.ts';
import { facts, refusal, type Suite } from './suite.ts';

const range = (count: number): string[] => Array.from({ length: count }, (_, n) => `${n}`);

export function describeShare(suite: Suite): void {
  describe('a shared subscription', () => {
    it('gives each event to one of its consumers, and some to each', async () => {
      const { name, topic } = await suite.subscription();
      const a = await suite.attach({ subscription: name, creditEvents: 99 });
      const b = await suite.attach({ subscription: name, creditEvents: 99 });
      await suite.publish(topic, range(20));
      await eventually(() => expect([...a.sink.ids, ...b.sink.ids]).toHaveLength(20));
      expect(new Set([...a.sink.ids, ...b.sink.ids]).size).toBe(20);
      expect(a.sink.ids).not.toEqual([]);
      expect(b.sink.ids).not.toEqual([]);
    });

    it('leaves the others their share of what may be in flight when one never settles', async () => {
      const { name, topic } = await suite.subscription({ inFlightMax: 4 });
      const stuck = await suite.attach({ subscription: name, creditEvents: 99 });
      const quick = await suite.attach({ subscription: name, creditEvents: 99 });
      await suite.publish(topic, range(20));
      for (let n = 0; n < 18; n++) {
        const { id } = await quick.delivery(n);
        quick.attachment.settle([id], { kind: 'accept' });
      }
      expect(stuck.sink.ids).toHaveLength(2);
    });

    it('takes consumers of one name for different ones', async () => {
      const { name, topic } = await suite.subscription();
      const options = { subscription: name, consumer: 'same' };
      const a = await suite.attach({ ...options, creditEvents: 1 });
      const b = await suite.attach({ ...options, creditEvents: 1 });
      await suite.publish(topic, ['1', '2']);
      await Promise.all([a.got(1), b.got(1)]);
      const { id } = await a.delivery(0);
      expect(b.attachment.settle([id], { kind: 'accept' }).refused).toEqual([id]);
      expect(a.attachment.settle([id], { kind: 'accept' }).refused).toEqual([]);
    });
  });

  describe('an exclusive subscription', () => {
    it('refuses a second consumer while there is one', async () => {
      const { name, topic } = await suite.subscription({ mode: 'exclusive' });
      const first = await suite.attach({ subscription: name, creditEvents: 1 });
      const error = await refusal(suite.attach({ subscription: name }));
      expect(facts(error)).toEqual({
        code: 'FailedPrecondition',
        reason: 'EXCLUSIVE',
        field: 'subscription',
      });
      await suite.publish(topic, ['1']);
      expect(await first.got(1)).toEqual(['1']);
      await first.leave();
      const next = await suite.attach({ subscription: name, creditEvents: 1 });
      expect(await next.got(1)).toEqual(['1']);
    });
  });

  describeBroadcast(suite);
  describeEphemeral(suite);
}

function describeBroadcast(suite: Suite): void {
  describe('a broadcast', () => {
    it('gives every event to every consumer, each with progress of its own', async () => {
      const { name, topic } = await suite.subscription({ mode: 'broadcast' });
      const a = await suite.attach({ subscription: name, consumer: 'a', creditEvents: 9 });
      const b = await suite.attach({ subscription: name, consumer: 'b', creditEvents: 9 });
      await suite.publish(topic, ['1', '2'], { key: 'k' });
      expect(await a.got(2)).toEqual(['1', '2']);
      expect(await b.got(2)).toEqual(['1', '2']);
      const { id } = await a.delivery(0);
      a.attachment.settle([id], { kind: 'accept' });
      await a.leave();
      const again = await suite.attach({ subscription: name, consumer: 'a', creditEvents: 9 });
      expect(await again.got(1)).toEqual(['2']);
      expect(again.attachment.subscription.name).toBe(name);
    });

    it('keeps a part for a consumer with a name, and none for one without', async () => {
      const { name } = await suite.subscription({ mode: 'broadcast' });
      const { subscriptions } = suite.port;
      const named = await suite.attach({ subscription: name, consumer: 'a' });
      const unnamed = await suite.attach({ subscription: name });
      await named.leave();
      await unnamed.leave();
      const part = await subscriptions.get(suite.session(), `${name}:a`);
      expect(part.subscription).toMatchObject({ broadcastOf: name, mode: 'shared' });
      const { items } = await subscriptions.list(suite.session(), { size: 1000, token: '' });
      const parts = items.filter(({ subscription }) => subscription.broadcastOf === name);
      expect(parts.map(({ subscription }) => subscription.name)).toEqual([`${name}:a`]);
    });

    it('has parts that are as it is, and are changed with it alone', async () => {
      const { name, topic } = await suite.subscription({ mode: 'broadcast' });
      const { subscriptions } = suite.port;
      const session = suite.session();
      const consumer = await suite.attach({ subscription: name, consumer: 'a', creditEvents: 9 });
      const part = `${name}:a`;
      const change = { name: part, inFlightMax: 7 };
      const error = await refusal(subscriptions.update(session, change));
      expect(facts(error)).toMatchObject({ code: 'InvalidArgument', field: 'name' });
      const filters = [{ exact: { type: 'wanted' } }];
      await subscriptions.update(session, { name, filters });
      await eventually(() =>
        expect(consumer.sink.end?.reason?.reason).toBe('SUBSCRIPTION_CHANGED'),
      );
      expect((await subscriptions.get(session, part)).subscription).toMatchObject({ filters });
      const again = await suite.attach({ subscription: name, consumer: 'a', creditEvents: 9 });
      await suite.publish(topic, ['1'], { key: 'k' });
      await suite.publish(topic, ['2'], { key: 'k', type: 'wanted' });
      expect(await again.got(1)).toEqual(['2']);
    });

    it('is paused as a whole, and each part by its own name', async () => {
      const { name, topic } = await suite.subscription({ mode: 'broadcast' });
      const { subscriptions } = suite.port;
      const session = suite.session();
      const a = await suite.attach({ subscription: name, consumer: 'a', creditEvents: 9 });
      const b = await suite.attach({ subscription: name, consumer: 'b', creditEvents: 9 });
      await subscriptions.pause(session, `${name}:a`, true);
      await suite.publish(topic, ['1'], { key: 'k' });
      expect(await b.got(1)).toEqual(['1']);
      await suite.books(`${name}:a`, { held: 1 });
      await subscriptions.pause(session, name, true);
      await subscriptions.pause(session, `${name}:a`, false);
      await suite.publish(topic, ['2'], { key: 'k' });
      await suite.books(`${name}:a`, { held: 2 });
      await suite.books(`${name}:b`, { held: 2 });
      expect(a.sink.ids).toEqual([]);
      await subscriptions.pause(session, name, false);
      expect(await a.got(2)).toEqual(['1', '2']);
      expect(await b.got(2)).toEqual(['1', '2']);
    });

    it('is deleted with its parts, whose consumers are told', async () => {
      const { name } = await suite.subscription({ mode: 'broadcast' });
      const { subscriptions } = suite.port;
      const consumer = await suite.attach({ subscription: name, consumer: 'a' });
      await subscriptions.delete(suite.session(), name);
      await eventually(() => expect(consumer.sink.end?.reason?.code).toBe('NotFound'));
      const part = subscriptions.get(suite.session(), `${name}:a`);
      expect((await refusal(part)).code).toBe('NotFound');
    });

    it('refuses a consumer that cannot name a part', async () => {
      const { name } = await suite.subscription({ mode: 'broadcast' });
      const error = await refusal(suite.attach({ subscription: name, consumer: 'a b' }));
      expect(facts(error)).toMatchObject({ code: 'InvalidArgument', field: 'consumer' });
    });
  });
}

function describeEphemeral(suite: Suite): void {
  const there = async (name: string): Promise<boolean> => {
    const { items } = await suite.port.subscriptions.list(suite.session(), {
      size: 1000,
      token: '',
    });
    return items.some(({ subscription }) => subscription.name === name);
  };

  describe('an ephemeral subscription', () => {
    it('vanishes with its last consumer', async () => {
      const { name, topic } = suite.fresh();
      const subscription = { name, topicFilters: [topic], ephemeral: true };
      const a = await suite.attach({ subscription, creditEvents: 9 });
      const b = await suite.attach({ subscription, creditEvents: 9 });
      await a.leave();
      expect(await there(name)).toBe(true);
      await suite.publish(topic, ['1']);
      await b.got(1);
      await b.leave();
      await eventually(async () => expect(await there(name)).toBe(false));
    });

    it('is what a spec without a name asks for', async () => {
      const { topic } = suite.fresh();
      const subscription = { name: '', topicFilters: [topic] };
      const a = await suite.attach({ subscription, creditEvents: 9 });
      const b = await suite.attach({ subscription, creditEvents: 9 });
      await suite.publish(topic, ['1']);
      expect(await a.got(1)).toEqual(['1']);
      expect(await b.got(1)).toEqual(['1']);
      const { name, ephemeral } = a.attachment.subscription;
      expect(name).not.toBe(b.attachment.subscription.name);
      expect(ephemeral).toBe(true);
      await a.leave();
      await eventually(async () => expect(await there(name)).toBe(false));
    });
  });
}
