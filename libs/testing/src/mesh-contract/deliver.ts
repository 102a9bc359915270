import { describe, expect, it } from '@jest/globals';
import { eventually } from '../eventually.ts';
import type { Suite } from './suite.ts';

const IDS = ['1', '2', '3', '4', '5'];

export function describeCredit(suite: Suite): void {
  describe('credit', () => {
    it('bounds the events that are delivered', async () => {
      const { name, topic } = await suite.subscription();
      const consumer = await suite.attach({ subscription: name, creditEvents: 2 });
      await suite.publish(topic, IDS, { key: 'k' });
      await suite.books(name, { held: 5 });
      expect(await consumer.got(2)).toEqual(['1', '2']);
      consumer.attachment.credit(1);
      expect(await consumer.got(3)).toEqual(['1', '2', '3']);
      // Settling gives no credit.
      const ids = consumer.sink.deliveries.map(({ id }) => id);
      consumer.attachment.settle(ids, { kind: 'accept' });
      await suite.books(name, { delivered: 3, held: 2 });
      expect(await consumer.drained()).toEqual(['1', '2', '3']);
    });

    it('bounds bytes, once it names them, by one event at most more', async () => {
      const { name, topic } = await suite.subscription();
      const data = 'x'.repeat(1000);
      const bytes = { creditEvents: 99, creditBytes: 2500 };
      const consumer = await suite.attach({ subscription: name, ...bytes });
      await suite.publish(topic, IDS, { key: 'k', data });
      await suite.books(name, { held: 5 });
      expect(await consumer.got(3)).toEqual(['1', '2', '3']);
      // Events alone do not help while the bytes are used up.
      consumer.attachment.credit(10);
      expect(await consumer.drained()).toHaveLength(3);
      consumer.attachment.credit(9, 1);
      expect(await consumer.got(4)).toHaveLength(4);
      expect(await consumer.drained()).toHaveLength(4);
    });

    it('is taken back by a drain, which delivers first what is there', async () => {
      const { name, topic } = await suite.subscription();
      await suite.publish(topic, ['1', '2'], { key: 'k' });
      const consumer = await suite.attach({ subscription: name });
      await suite.publish(topic, ['3'], { key: 'k' });
      consumer.attachment.credit(2);
      await consumer.got(2);
      consumer.attachment.credit(2);
      await suite.books(name, { held: 3 });
      expect(await consumer.drained()).toEqual(['1', '2', '3']);
      await suite.publish(topic, ['4'], { key: 'k' });
      await suite.books(name, { held: 4 });
      expect(await consumer.drained()).toEqual(['1', '2', '3']);
      consumer.attachment.credit(1);
      expect(await consumer.got(4)).toEqual(['1', '2', '3', '4']);
    });

    it('does not go beyond what a subscription may have in flight', async () => {
      const { name, topic } = await suite.subscription({ inFlightMax: 2 });
      const consumer = await suite.attach({ subscription: name, creditEvents: 99 });
      await suite.publish(topic, IDS, { key: 'k' });
      await suite.books(name, { held: 5 });
      expect(await consumer.got(2)).toEqual(['1', '2']);
      const [first] = consumer.sink.deliveries;
      consumer.attachment.settle([first?.id ?? 0], { kind: 'accept' });
      expect(await consumer.got(3)).toEqual(['1', '2', '3']);
      expect(await consumer.drained()).toEqual(['1', '2', '3']);
    });
  });
}

export function describeSink(suite: Suite): void {
  describe('a sink', () => {
    it('is told of positions that are no longer there, and gets the rest', async () => {
      const { name, topic } = suite.fresh();
      const [first] = await suite.publish(topic, ['1'], { key: 'k' });
      const { partition = 0, position = 0 } = first ?? {};
      const data = 'x'.repeat(64 * 1024);
      let filler = 0;
      const more = () => suite.publish(topic, [`filler-${filler++}`], { key: 'k', data });
      await more();
      await suite.under.forget(partition, position + 1, more);
      const start = { kind: 'position', partition, position } as const;
      const subscription = { name, topicFilters: [topic], start };
      const consumer = await suite.attach({ subscription, creditEvents: 99 });
      await eventually(() => expect(consumer.sink.gaps).not.toEqual([]));
      const [gap] = consumer.sink.gaps;
      expect(gap).toMatchObject({ partition, from: position });
      expect(gap?.reason).toBeUndefined();
      await suite.publish(topic, ['last'], { key: 'k' });
      await eventually(() => expect(consumer.sink.ids).toContain('last'));
      const positions = consumer.sink.deliveries.map((one) => one.position);
      expect(Math.min(...positions)).toBeGreaterThan(gap?.to ?? 0);
    });

    it('is told the end of a subscription that is deleted, and nothing after it', async () => {
      const { name, topic } = await suite.subscription();
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      await suite.publish(topic, ['1']);
      const { id } = await consumer.delivery(0);
      await suite.port.subscriptions.delete(suite.session(), name);
      await eventually(() => expect(consumer.sink.end).toBeDefined());
      const reason = consumer.sink.end?.reason;
      expect(reason?.code).toBe('NotFound');
      expect(reason?.details.field).toBe('subscription');
      await suite.publish(topic, ['2']);
      expect(consumer.attachment.settle([id], { kind: 'accept' }).refused).toEqual([id]);
      consumer.attachment.credit(5);
      await consumer.drained();
      await consumer.leave();
      expect(consumer.sink.late).toBe(0);
    });

    it('may settle, give credit and leave from within its own call', async () => {
      const { name, topic } = await suite.subscription();
      const { attachment, sink } = await suite.attach({ subscription: name });
      const gone = Promise.withResolvers<void>();
      sink.onDeliver = (deliveries) => {
        const ids = deliveries.map(({ id }) => id);
        if (sink.deliveries.length < 3) {
          expect(attachment.settle(ids, { kind: 'accept' }).refused).toEqual([]);
          attachment.credit(deliveries.length);
          return;
        }
        gone.resolve(attachment.detach());
        sink.over();
      };
      attachment.credit(1);
      await suite.publish(topic, IDS, { key: 'k' });
      await gone.promise;
      expect(sink.ids).toEqual(['1', '2', '3']);
      const next = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await next.got(3)).toEqual(['3', '4', '5']);
      await suite.books(name, { delivered: 2, held: 3 });
    });

    it('is not called any more once its consumer is detached', async () => {
      const { name, topic } = await suite.subscription();
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      await consumer.leave();
      await consumer.leave();
      await suite.publish(topic, ['1']);
      const next = await suite.attach({ subscription: name, creditEvents: 9 });
      await next.got(1);
      expect(consumer.sink.ids).toEqual([]);
      expect(consumer.sink.late).toBe(0);
    });
  });
}
