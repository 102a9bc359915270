import { describe, expect, it } from '@jest/globals';
import { EventView } from '@eventmesh/event';
import { facts, refusal, type Suite } from './suite.ts';

const IDS = ['1', '2', '3', '4', '5'];

export function describeAttach(suite: Suite): void {
  describe('attach', () => {
    it('delivers what topic filters and filters match, a key in its order', async () => {
      const { name, topic } = suite.fresh();
      const topicFilters = [`${topic}/+/a`, `${topic}/b/#`];
      const filters = [{ exact: { type: 'wanted' } }];
      await suite.port.subscriptions.create(suite.session(), { name, topicFilters, filters });
      const consumer = await suite.attach({ subscription: name, creditEvents: 99 });
      await suite.publish(`${topic}/x/a`, ['1', '2', '3'], { type: 'wanted', key: 'k' });
      await suite.publish(`${topic}/x/a`, ['4'], { type: 'another', key: 'k' });
      await suite.publish(`${topic}/x/c`, ['5'], { type: 'wanted', key: 'k' });
      await suite.publish(`${topic}/b`, ['6'], { type: 'wanted', key: 'k' });
      await consumer.got(4);
      const { deliveries } = consumer.sink;
      const ids = (of: string) =>
        deliveries.filter((one) => one.topic === of).map(({ event }) => new EventView(event).id);
      expect(ids(`${topic}/x/a`)).toEqual(['1', '2', '3']);
      expect(ids(`${topic}/b`)).toEqual(['6']);
      await suite.books(name, { held: 4 });
      expect(await consumer.drained()).toHaveLength(4);
    });

    it('delivers an event as it was published, with where it lies', async () => {
      const { name, topic } = await suite.subscription();
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      const beforeUs = Date.now() * 1000;
      const [stored] = await suite.publish(topic, ['1'], { data: 'grüße \n 🌍' });
      const delivery = await consumer.delivery(0);
      const { partition, position } = stored ?? {};
      const originSite = suite.port.site;
      expect(delivery).toMatchObject({ topic, partition, position, originSite, attempt: 1 });
      expect(delivery.ingressTimeUs).toBeGreaterThanOrEqual(beforeUs - 1000);
      expect(Number.isSafeInteger(delivery.id)).toBe(true);
      const { data } = new EventView(delivery.event);
      expect(Buffer.from(data?.bytes ?? []).toString()).toBe('grüße \n 🌍');
    });

    it('hands over nothing before its attachment is there', async () => {
      const { name, topic } = await suite.subscription();
      await suite.publish(topic, IDS);
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(consumer.sink.ids).toEqual([]);
      await consumer.got(5);
    });

    it('hands over nothing from within a call of the attachment', async () => {
      const { name, topic } = await suite.subscription();
      await suite.publish(topic, IDS);
      const { attachment, sink, ...consumer } = await attached(name);
      attachment.credit(1);
      expect(sink.ids).toEqual([]);
      await consumer.got(1);
      attachment.credit(1);
      await consumer.got(2);
      const [first] = sink.deliveries;
      attachment.credit(1);
      attachment.settle([first?.id ?? 0], { kind: 'accept' });
      expect(sink.deliveries).toHaveLength(2);
      await consumer.got(3);
    });

    it('tells what it is attached to, and as whom', async () => {
      const { name, made } = await suite.subscription();
      const named = await suite.attach({ subscription: name, consumer: 'worker' });
      expect(named.attachment).toMatchObject({ consumer: 'worker', subscription: made });
      expect(named.attachment).toMatchObject({ convergedSites: [], unreachableSites: [] });
      const unnamed = await suite.attach({ subscription: name });
      expect(unnamed.attachment.consumer).toMatch(/./);
      await suite.books(name, { consumers: 2 });
    });

    it('waits for the interest to be known when it is asked to', async () => {
      const { name, topic } = suite.fresh();
      const subscription = { name, topicFilters: [topic] };
      const { attachment } = await suite.attach({ subscription, convergeMs: 5000 });
      expect(attachment.unreachableSites).toEqual([]);
    });

    it('makes the subscription that is wanted, and refuses another one of its name', async () => {
      const { name, topic } = suite.fresh();
      const subscription = { name, topicFilters: [topic] };
      const consumer = await suite.attach({ subscription, creditEvents: 9 });
      await suite.attach({ subscription });
      await suite.publish(topic, ['1']);
      await consumer.got(1);
      const other = { ...subscription, ackTimeoutMs: 5000 };
      const error = await refusal(suite.attach({ subscription: other }));
      expect(facts(error)).toEqual({
        code: 'AlreadyExists',
        reason: 'SUBSCRIPTION_DIFFERS',
        field: 'name',
      });
    });

    it('refuses a subscription that is not there, naming the field', async () => {
      const { name } = suite.fresh();
      const wanted = { code: 'NotFound', field: 'name' };
      expect(facts(await refusal(suite.attach({ subscription: name })))).toMatchObject(wanted);
    });

    it('refuses a consumer whose name cannot be shown', async () => {
      const { name } = await suite.subscription();
      const error = await refusal(suite.attach({ subscription: name, consumer: 'a\nb' }));
      expect(facts(error)).toMatchObject({ code: 'InvalidArgument', field: 'consumer' });
      expect(error.details.limit).toMatch(/256/);
    });

    it('refuses a topic filter that the caller has no right to', async () => {
      const { name, topic } = suite.fresh();
      const subscription = { name, topicFilters: [topic] };
      const error = await refusal(suite.attach({ subscription }, 'reader'));
      expect(facts(error)).toMatchObject({ code: 'PermissionDenied', reason: 'NO_GRANT' });
      expect(error.details.facts).toMatchObject({ action: 'subscribe', resource: topic });
    });

    it('hides a subscription from who has no right to its topics, and from another tenant', async () => {
      const { name } = await suite.subscription();
      for (const caller of ['reader', 'mallory'] as const) {
        const error = await refusal(suite.attach({ subscription: name }, caller));
        expect(facts(error)).toMatchObject({ code: 'NotFound', field: 'name' });
      }
    });

    it('lets everybody consume who has a right to its topics', async () => {
      const { name, topic } = suite.fresh('public');
      await suite.port.subscriptions.create(suite.session(), { name, topicFilters: [topic] });
      await suite.publish(topic, ['1']);
      const consumer = await suite.attach({ subscription: name, creditEvents: 1 }, 'reader');
      expect(await consumer.got(1)).toEqual(['1']);
    });

    it.each([
      [{ kind: 'earliest' }, ['1', '2', '3']],
      [{ kind: 'latest' }, ['3']],
    ] as const)('begins at %j', async (start, wanted) => {
      const { topic, name } = suite.fresh();
      await suite.publish(topic, ['1', '2'], { key: 'k' });
      const subscription = { name, topicFilters: [topic], start };
      const consumer = await suite.attach({ subscription, creditEvents: 9 });
      await suite.publish(topic, ['3'], { key: 'k' });
      expect(await consumer.got(wanted.length)).toEqual(wanted);
    });

    it('begins behind an event, and at a position', async () => {
      const { topic } = suite.fresh();
      const [, second] = await suite.publish(topic, ['1', '2', '3'], { key: 'k' });
      const { partition = 0, position = 0 } = second ?? {};
      const starts = [
        [{ kind: 'after', source: `/${topic}`, id: '1' }, ['2', '3']],
        [{ kind: 'position', partition, position }, ['2', '3']],
      ] as const;
      for (const [start, wanted] of starts) {
        const subscription = { name: suite.fresh().name, topicFilters: [topic], start };
        const consumer = await suite.attach({ subscription, creditEvents: 9 });
        expect(await consumer.got(wanted.length)).toEqual(wanted);
      }
    });

    it('refuses a start behind an event that is not there', async () => {
      const { topic, name } = suite.fresh();
      await suite.publish(topic, ['1']);
      const start = { kind: 'after', source: '/nobody', id: 'none' } as const;
      const error = await refusal(
        suite.attach({ subscription: { name, topicFilters: [topic], start } }),
      );
      expect(facts(error)).toEqual({ code: 'NotFound', reason: 'EVENT_NOT_FOUND', field: 'start' });
    });

    async function attached(name: string) {
      const consumer = await suite.attach({ subscription: name });
      const { attachment, sink } = consumer;
      return { attachment, sink, got: (count: number) => consumer.got(count) };
    }
  });
}
