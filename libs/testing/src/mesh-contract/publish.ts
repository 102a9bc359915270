import { describe, expect, it } from '@jest/globals';
import type { PublishItem } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { facts, item, receipt, refusal, type Suite } from './suite.ts';

export function describePublish(suite: Suite): void {
  describe('publish', () => {
    it('answers receipts with rising positions of one partition for a key', async () => {
      const { topic } = suite.fresh();
      const first = await suite.publish(topic, ['1', '2'], { key: 'k' });
      const [last] = await suite.publish(topic, ['3'], { key: 'k' });
      const all = [...first, last];
      const { site } = suite.port;
      for (const one of all) {
        expect(one).toMatchObject({ site, duplicate: false, destinations: [] });
        expect(one?.durability).toEqual(expect.any(String));
      }
      expect(new Set(all.map((one) => one?.partition)).size).toBe(1);
      const positions = all.map((one) => one?.position ?? 0);
      expect(positions[0]).toBeGreaterThanOrEqual(1);
      expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
    });

    it('says whether anybody wants the topic', async () => {
      const nobody = await suite.publish(suite.fresh().topic, ['1']);
      expect(nobody).toMatchObject([{ noInterest: true }]);
      const { topic } = await suite.subscription();
      expect(await suite.publish(topic, ['1'])).toMatchObject([{ noInterest: false }]);
      const direct = await suite.subscription({ deliveryClass: 'direct' });
      expect(await suite.publish(direct.topic, ['1'])).toMatchObject([{ noInterest: true }]);
    });

    it('tells of a duplicate with the place of the first', async () => {
      const { topic } = suite.fresh();
      const [first] = await suite.publish(topic, ['1']);
      const [again] = await suite.publish(topic, ['1']);
      expect(again).toEqual({ ...first, duplicate: true });
    });

    it('answers for each event in order; one that is refused keeps back no other', async () => {
      const { topic, name } = await suite.subscription();
      const items = [item(topic, '1'), item(topic, '2', { source: '' }), item(topic, '3')];
      const outcomes = await suite.send(items);
      expect(outcomes.map((one) => one instanceof MeshError)).toEqual([false, true, false]);
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await consumer.got(2)).toEqual(['1', '3']);
    });

    it('answers nothing for no events', async () => {
      expect(await suite.send([])).toEqual([]);
    });

    const large = 'x'.repeat(2 * 1024 * 1024);
    it.each<[string, (topic: string) => PublishItem, object]>([
      [
        'a wildcard in the topic',
        (topic) => item(`${topic}/+`, '1'),
        { code: 'InvalidArgument', field: 'topic' },
      ],
      ['a reserved topic', () => item('$mesh/x', '1'), { code: 'InvalidArgument', field: 'topic' }],
      [
        'an event without a source',
        (topic) => item(topic, '1', { source: '' }),
        { code: 'InvalidArgument', field: 'source' },
      ],
      [
        'an event without an id',
        (topic) => item(topic, ''),
        { code: 'InvalidArgument', field: 'id' },
      ],
      [
        'bytes that are no event',
        (topic) => ({ topic, event: Buffer.from([0xff, 0xff, 0xff]) }),
        { code: 'InvalidArgument' },
      ],
      [
        'an event beyond the size limit',
        (topic) => item(topic, '1', { data: large }),
        { code: 'PayloadTooLarge', field: 'event' },
      ],
      [
        'a direct event for later',
        (topic) => ({ ...item(topic, '1'), deliveryClass: 'direct', deliverAfterMs: 60_000 }),
        { code: 'InvalidArgument', field: 'deliverAtMs' },
      ],
    ])('refuses %s, naming the field', async (_, make, wanted) => {
      const [outcome] = await suite.send([make(suite.fresh().topic)]);
      expect(outcome).toBeInstanceOf(MeshError);
      expect(facts(outcome as MeshError)).toMatchObject(wanted);
    });

    it('names the limit that an event is beyond', async () => {
      const [outcome] = await suite.send([item(suite.fresh().topic, '1', { data: large })]);
      const { eventBytesMax } = suite.port;
      expect(facts(outcome as MeshError)).toMatchObject({ limit: `${eventBytesMax} bytes` });
    });

    it('refuses a topic that the caller may not publish to, naming what would be needed', async () => {
      const { topic } = suite.fresh('public');
      const [outcome] = await suite.send([item(topic, '1')], {}, 'reader');
      expect(facts(outcome as MeshError)).toMatchObject({
        code: 'PermissionDenied',
        reason: 'NO_GRANT',
      });
      const { details } = outcome as MeshError;
      expect(details.facts).toMatchObject({ action: 'publish', resource: topic });
    });

    it('keeps tenants apart', async () => {
      const { topic, name } = await suite.subscription();
      await suite.send([item(topic, 'theirs')], {}, 'mallory');
      await suite.publish(topic, ['ours']);
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await consumer.got(1)).toEqual(['ours']);
    });

    it('hands a direct event to whoever is there, and keeps nothing', async () => {
      const { topic, name } = await suite.subscription({ deliveryClass: 'direct' });
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      const [outcome] = await suite.send([{ ...item(topic, '1'), deliveryClass: 'direct' }]);
      expect(receipt(outcome)).toMatchObject({ position: 0, duplicate: false, noInterest: false });
      expect(receipt(outcome).durability).toBeUndefined();
      const { id } = await consumer.delivery(0);
      // There is nothing to settle, so nothing is stale either.
      expect(consumer.attachment.settle([id], { kind: 'accept' }).refused).toEqual([]);
      const [nobody] = await suite.send([
        { ...item(suite.fresh().topic, '1'), deliveryClass: 'direct' },
      ]);
      expect(receipt(nobody).noInterest).toBe(true);
    });

    it('keeps an event for later, and takes it back when asked to', async () => {
      const { topic } = suite.fresh();
      const session = suite.session();
      const deliverAtMs = Date.now() + 3_600_000;
      const [outcome] = await suite.send([{ ...item(topic, '1'), deliverAtMs }]);
      expect(receipt(outcome)).toMatchObject({ deliverAtMs, duplicate: false });
      const { events } = await suite.port.scheduled.list(session, 1000);
      expect(events.filter((one) => one.topic === topic)).toMatchObject([{ id: '1', deliverAtMs }]);
      expect(await suite.port.scheduled.cancel(session, '1', `/${topic}`)).toBe(1);
      const again = suite.port.scheduled.cancel(session, '1', `/${topic}`);
      expect(facts(await refusal(again))).toMatchObject({ code: 'NotFound', field: 'id' });
    });
  });
}
