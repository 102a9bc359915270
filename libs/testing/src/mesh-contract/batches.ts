import { describe, expect, it } from '@jest/globals';
import type { Producer } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { facts, item, receipt, refusal, type Suite } from './suite.ts';

export function describeProducers(suite: Suite): void {
  const send = (topic: string, ids: readonly string[], first: number, producer: Producer) => {
    const items = ids.map((id, n) => ({ ...item(topic, id, { key: 'k' }), sequence: first + n }));
    return suite.send(items, { producer });
  };

  describe('an idempotent producer', () => {
    it('has each of its numbers stored once, whatever event comes with it', async () => {
      const { topic, name } = await suite.subscription();
      const producer = { id: name, epoch: 1 };
      const first = (await send(topic, ['1', '2'], 1, producer)).map(receipt);
      expect(first).toMatchObject([{ duplicate: false }, { duplicate: false }]);
      const again = (await send(topic, ['2', '3'], 2, producer)).map(receipt);
      expect(again).toMatchObject([
        { duplicate: true, position: first[1]?.position },
        { duplicate: false },
      ]);
      expect(await send(topic, ['4'], 3, producer)).toMatchObject([{ duplicate: true }]);
      const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
      await suite.publish(topic, ['last'], { key: 'k' });
      expect(await consumer.got(4)).toEqual(['1', '2', '3', 'last']);
    });

    it('begins anew with a greater epoch, which fences the smaller ones', async () => {
      const { topic, name: id } = suite.fresh();
      await send(topic, ['1', '2'], 1, { id, epoch: 1 });
      expect(await send(topic, ['3'], 1, { id, epoch: 2 })).toMatchObject([{ duplicate: false }]);
      const [outcome] = await send(topic, ['4'], 3, { id, epoch: 1 });
      expect(facts(outcome as MeshError)).toMatchObject({
        code: 'Aborted',
        reason: 'PRODUCER_FENCED',
      });
      expect((outcome as MeshError).details.facts).toMatchObject({ epoch: '2' });
    });

    it('is refused without a number, a name, or an epoch', async () => {
      const { topic, name: id } = suite.fresh();
      const [outcome] = await send(topic, ['1'], 0, { id, epoch: 1 });
      const wanted = { code: 'InvalidArgument', field: 'sequence', limit: '1 to 2^53-1' };
      expect(facts(outcome as MeshError)).toMatchObject(wanted);
      const nameless = await refusal(send(topic, ['1'], 1, { id: 'a b', epoch: 1 }));
      expect(facts(nameless)).toMatchObject({ code: 'InvalidArgument', field: 'producer.id' });
      const timeless = await refusal(send(topic, ['1'], 1, { id, epoch: 0 }));
      expect(facts(timeless)).toMatchObject({ code: 'InvalidArgument', field: 'producer.epoch' });
    });
  });
}

export function describeAtomic(suite: Suite): void {
  const atomic = { atomic: true };

  describe('an atomic batch', () => {
    it('is stored in order when it is of one partition', async () => {
      const { topic } = suite.fresh();
      const items = ['1', '2', '3'].map((id) => item(topic, id, { key: 'k' }));
      const all = (await suite.send(items, atomic)).map(receipt);
      expect(new Set(all.map(({ partition }) => partition)).size).toBe(1);
      const first = all[0]?.position ?? 0;
      expect(all.map(({ position }) => position)).toEqual([first, first + 1, first + 2]);
    });

    it('is refused as a whole when one is, with its error and its place', async () => {
      const { topic, name } = await suite.subscription();
      const faulty = item(topic, '2', { source: '', key: 'k' });
      const outcomes = await suite.send([item(topic, '1', { key: 'k' }), faulty], atomic);
      expect(outcomes).toHaveLength(2);
      for (const outcome of outcomes) {
        expect(outcome).toBeInstanceOf(MeshError);
        expect(facts(outcome as MeshError)).toMatchObject({
          code: 'InvalidArgument',
          field: 'events[1].source',
        });
      }
      await expectOnlyTheNext(topic, name);
    });

    it('is refused, with reason and limit, when it is not of one partition', async () => {
      const { topic, name } = await suite.subscription();
      const items = Array.from({ length: 32 }, (_, n) => item(topic, `${n}`, { key: `k${n}` }));
      const outcomes = await suite.send(items, atomic);
      expect(outcomes).toHaveLength(32);
      for (const outcome of outcomes) {
        expect(outcome).toBeInstanceOf(MeshError);
        expect(facts(outcome as MeshError)).toEqual({
          code: 'InvalidArgument',
          reason: 'ATOMIC_ACROSS_PARTITIONS',
          field: 'atomic',
          limit: '1 partition, 1000 events',
        });
      }
      await expectOnlyTheNext(topic, name);
    });

    it('is refused, with reason and limit, when some of it are for later', async () => {
      const { topic } = suite.fresh();
      const later = { ...item(topic, '2'), deliverAfterMs: 60_000 };
      const outcomes = await suite.send([item(topic, '1'), later], atomic);
      expect(outcomes).toHaveLength(2);
      for (const outcome of outcomes) {
        expect(facts(outcome as MeshError)).toMatchObject({ reason: 'ATOMIC_ACROSS_PARTITIONS' });
      }
      const { events } = await suite.port.scheduled.list(suite.session(), 1000);
      expect(events.filter((one) => one.topic === topic)).toEqual([]);
    });

    it('is refused, with reason and limit, when it is too large', async () => {
      const { topic, name } = await suite.subscription();
      const items = Array.from({ length: 1001 }, (_, n) => item(topic, `${n}`));
      const [outcome] = await suite.send(items, atomic);
      expect(facts(outcome as MeshError)).toEqual({
        code: 'InvalidArgument',
        reason: 'ATOMIC_TOO_LARGE',
        field: 'atomic',
        limit: '1 partition, 1000 events',
      });
      await expectOnlyTheNext(topic, name);
    });

    it('is refused when it is of the direct class', async () => {
      const { topic } = suite.fresh();
      const outcomes = await suite.send([{ ...item(topic, '1'), deliveryClass: 'direct' }], atomic);
      expect(facts(outcomes[0] as MeshError)).toMatchObject({
        code: 'InvalidArgument',
        field: 'events[0].atomic',
      });
    });
  });

  async function expectOnlyTheNext(topic: string, name: string): Promise<void> {
    await suite.publish(topic, ['next'], { key: 'k' });
    const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
    expect(await consumer.got(1)).toEqual(['next']);
  }
}
