import { describe, expect, it } from '@jest/globals';
import type { DeadLetter, SettleOutcome } from '@eventmesh/adapter-api';
import type { SubscriptionInput } from '@eventmesh/delivery';
import { eventually } from '../eventually.ts';
import type { Consumer, Suite } from './suite.ts';

const ACCEPT: SettleOutcome = { kind: 'accept' };
const RELEASE: SettleOutcome = { kind: 'release' };
/** What fails comes again at once. */
const AT_ONCE = { kind: 'linear', delayMs: 0, delayMaxMs: 0 } as const;

export function describeSettle(suite: Suite): void {
  /** A consumer that has been given these events, or the first ones of them. */
  async function given(
    ids: readonly string[],
    more: Partial<SubscriptionInput> = {},
    count = ids.length,
  ) {
    const { name, topic } = await suite.subscription({ retry: AT_ONCE, ...more });
    const consumer = await suite.attach({ subscription: name, creditEvents: 99 });
    await suite.publish(topic, ids, { key: 'k' });
    await consumer.got(count);
    return { name, topic, consumer };
  }

  /** Settles the n-th delivery, and answers what that did. */
  async function settle(consumer: Consumer, n: number, outcome: SettleOutcome) {
    const { id } = await consumer.delivery(n);
    return consumer.attachment.settle([id], outcome);
  }

  const attempts = ({ sink }: Consumer) => sink.deliveries.map(({ attempt }) => attempt);

  async function letters(subscription: string): Promise<readonly DeadLetter[]> {
    const page = { size: 10, token: '' };
    const { deadLetters } = suite.port;
    return (await deadLetters.list(suite.session(), { subscription }, page)).items;
  }

  describe('settle', () => {
    it('accepts: it is done, and does not come again', async () => {
      const { name, consumer } = await given(['1', '2']);
      expect(await settle(consumer, 0, ACCEPT)).toEqual({ refused: [], count: 1 });
      await suite.books(name, { delivered: 1, held: 1 });
      await consumer.leave();
      const next = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await next.got(1)).toEqual(['2']);
    });

    it('releases: it comes again as the next attempt, under another id', async () => {
      const { consumer } = await given(['1']);
      expect(await settle(consumer, 0, RELEASE)).toEqual({ refused: [], count: 1 });
      expect(await consumer.got(2)).toEqual(['1', '1']);
      expect(attempts(consumer)).toEqual([1, 2]);
      const [first, second] = consumer.sink.deliveries;
      expect(second?.id).not.toBe(first?.id);
    });

    it('gives up what was released too often, as a dead letter', async () => {
      const { name, consumer } = await given(['1'], { retry: { ...AT_ONCE, attemptsMax: 2 } });
      await settle(consumer, 0, RELEASE);
      await settle(consumer, 1, RELEASE);
      await suite.books(name, { deadLettered: 1, held: 0 });
      expect(await letters(name)).toMatchObject([
        { eventId: '1', cause: 'released by the consumer', attempts: 2, subscription: name },
      ]);
      expect(await consumer.drained()).toEqual(['1', '1']);
    });

    it('gives up at the first failure what is never retried', async () => {
      const { name, consumer } = await given(['1'], { retry: { kind: 'none' } });
      await settle(consumer, 0, RELEASE);
      await suite.books(name, { deadLettered: 1, held: 0 });
    });

    it('counts no failure for a release with a delay of the consumer', async () => {
      const { name, consumer } = await given(['1'], { retry: { ...AT_ONCE, attemptsMax: 1 } });
      const later: SettleOutcome = { kind: 'release', delayMs: 1 };
      for (const n of [0, 1, 2]) await settle(consumer, n, later);
      expect(await consumer.got(4)).toEqual(['1', '1', '1', '1']);
      expect(attempts(consumer)).toEqual([1, 2, 3, 4]);
      await settle(consumer, 3, { kind: 'release', delayMs: 0 });
      // A delay of nothing is none, and the failure was one too many.
      await suite.books(name, { deadLettered: 1, held: 0 });
    });

    it('says how much is delayed, and until when', async () => {
      const { name, consumer } = await given(['1', '2']);
      const before = Date.now();
      await settle(consumer, 0, { kind: 'release', delayMs: 3_600_000 });
      await suite.books(name, { delayed: 1, held: 2 });
      const { nextDueMs } = await suite.status(name);
      expect(nextDueMs).toBeGreaterThanOrEqual(before + 3_600_000);
      expect(await consumer.drained()).toEqual(['1', '2']);
    });

    it('rejects: a dead letter has the reason, the attempts and the event byte for byte', async () => {
      const { name, consumer, topic } = await given(['1', '2']);
      await settle(consumer, 0, RELEASE);
      await settle(consumer, 2, { kind: 'reject', reason: 'it is broken' });
      await suite.books(name, { deadLettered: 1, held: 1 });
      const [letter] = await eventually(async () => {
        const all = await letters(name);
        expect(all).toHaveLength(1);
        return all;
      });
      const { event, partition, position } = await consumer.delivery(0);
      const place = { topic, partition, position, subscriptionGone: false };
      expect(letter).toMatchObject({ ...place, cause: 'it is broken', attempts: 2, eventId: '1' });
      expect(Buffer.from(letter?.event ?? []).equals(event)).toBe(true);
      expect(await consumer.drained()).toEqual(['1', '2', '1']);
    });

    it('drops what is rejected when no dead letters are wanted', async () => {
      const { name, consumer } = await given(['1'], { deadLetter: false });
      await settle(consumer, 0, { kind: 'reject', reason: 'it is broken' });
      await suite.books(name, { dropped: 1, deadLettered: 0, held: 0 });
      expect(await letters(name)).toEqual([]);
    });

    it('renews: it stays out and can be settled', async () => {
      const { name, consumer } = await given(['1']);
      expect(await settle(consumer, 0, { kind: 'renew' })).toEqual({ refused: [], count: 1 });
      await suite.books(name, { held: 1, delivered: 0 });
      expect(await settle(consumer, 0, ACCEPT)).toEqual({ refused: [], count: 1 });
    });

    it('takes back what nobody has looked at: it comes next, and was no attempt', async () => {
      const { consumer } = await given(['1', '2', '3'], { inFlightMax: 2 }, 2);
      await settle(consumer, 0, { kind: 'return' });
      expect((await consumer.got(3)).slice(0, 3)).toEqual(['1', '2', '1']);
      expect(attempts(consumer)).toEqual([1, 1, 1]);
    });

    it('settles all earlier ones, too, when it is cumulative', async () => {
      const { name, consumer } = await given(['1', '2', '3', '4']);
      const { id } = await consumer.delivery(2);
      expect(consumer.attachment.settle([id], ACCEPT, true)).toEqual({ refused: [], count: 3 });
      await suite.books(name, { delivered: 3, held: 1 });
    });

    it('settles cumulatively what its own consumer has, and nothing by an unknown id', async () => {
      const { name, consumer } = await given(['1', '2']);
      const other = await suite.attach({ subscription: name, creditEvents: 9 });
      const { id } = await consumer.delivery(1);
      const foreign = other.attachment.settle([id], RELEASE, true);
      expect(foreign).toEqual({ refused: [id], count: 0 });
      const unknown = consumer.attachment.settle([1], ACCEPT, true);
      expect(unknown).toEqual({ refused: [1], count: 0 });
      await suite.books(name, { delivered: 0, held: 2 });
    });

    it('lists ids that are stale, foreign or unknown, and settles the others', async () => {
      const { name, consumer } = await given(['1', '2']);
      const other = await suite.attach({ subscription: name, creditEvents: 9 });
      const first = await consumer.delivery(0);
      const second = await consumer.delivery(1);
      expect(other.attachment.settle([first.id], ACCEPT).refused).toEqual([first.id]);
      const mixed = consumer.attachment.settle([first.id, 7, second.id], ACCEPT);
      expect(mixed).toEqual({ refused: [7], count: 2 });
      const again = consumer.attachment.settle([first.id, second.id], RELEASE);
      expect(again).toEqual({ refused: [first.id, second.id], count: 0 });
      await suite.books(name, { delivered: 2, held: 0 });
    });

    it('lists the id of a delivery that has come again since', async () => {
      const { name, consumer } = await given(['1']);
      const { id } = await consumer.delivery(0);
      await settle(consumer, 0, RELEASE);
      await consumer.got(2);
      expect(consumer.attachment.settle([id], ACCEPT).refused).toEqual([id]);
      await suite.books(name, { delivered: 0, held: 1 });
    });

    it('settles nothing for no ids', async () => {
      const { name, consumer } = await given(['1']);
      expect(consumer.attachment.settle([], ACCEPT)).toEqual({ refused: [], count: 0 });
      expect(consumer.attachment.settle([], ACCEPT, true)).toEqual({ refused: [], count: 0 });
      await suite.books(name, { delivered: 0, held: 1 });
    });
  });

  describe('detach', () => {
    it('gives back what is not settled; that is an attempt, and no failure', async () => {
      const { name, consumer } = await given(['1', '2'], { retry: { ...AT_ONCE, attemptsMax: 1 } });
      await settle(consumer, 0, ACCEPT);
      const { id } = await consumer.delivery(1);
      await consumer.leave();
      expect(consumer.attachment.settle([id], ACCEPT)).toEqual({ refused: [id], count: 0 });
      const next = await suite.attach({ subscription: name, creditEvents: 9 });
      expect(await next.got(1)).toEqual(['2']);
      await suite.books(name, { delivered: 1, deadLettered: 0, held: 1 });
    });

    it('gives it to another consumer that is there', async () => {
      const { name, consumer } = await given(['1', '2']);
      const other = await suite.attach({ subscription: name, creditEvents: 9 });
      await consumer.leave();
      expect((await other.got(2)).sort()).toEqual(['1', '2']);
      expect(attempts(other)).toEqual([2, 2]);
      await suite.books(name, { consumers: 1, held: 2 });
    });
  });
}
