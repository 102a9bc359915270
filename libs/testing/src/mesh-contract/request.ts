import { describe, expect, it } from '@jest/globals';
import type { RequestOptions } from '@eventmesh/adapter-api';
import { EventView } from '@eventmesh/event';
import { facts, item, receipt, refusal, type Suite } from './suite.ts';

export function describeRequest(suite: Suite): void {
  const request = (topic: string, id: string, options: RequestOptions) =>
    suite.port.request(suite.session(), item(topic, id), options);

  /** A consumer that is asked, and where the first one who asks waits. */
  async function asked() {
    const { name, topic } = await suite.subscription();
    const consumer = await suite.attach({ subscription: name, creditEvents: 9 });
    const replyTo = async () =>
      new EventView((await consumer.delivery(0)).event).text('replyto') ?? '';
    return { topic, consumer, replyTo };
  }

  describe('request', () => {
    it('answers with the first reply to the address that the request carries', async () => {
      const { topic, consumer, replyTo } = await asked();
      const reply = request(topic, '1', { timeoutMs: 20_000 });
      const address = await replyTo();
      const { event } = await consumer.delivery(0);
      expect(new EventView(event).text('correlationid')).toMatch(/./);
      const [sent] = await suite.send([item(address, 'reply', { data: 'done' })]);
      expect(receipt(sent)).toMatchObject({ position: 0, noInterest: false });
      const answer = new EventView(await reply);
      expect(answer.id).toBe('reply');
      expect(Buffer.from(answer.data?.bytes ?? []).toString()).toBe('done');
      // Nobody waits there any more.
      const [late] = await suite.send([item(address, 'late')]);
      expect(receipt(late).noInterest).toBe(true);
    });

    it('may be answered by who may not publish, and not from another tenant', async () => {
      const { topic, replyTo } = await asked();
      const reply = request(topic, '1', { timeoutMs: 20_000 });
      const address = await replyTo();
      const [foreign] = await suite.send([item(address, 'foreign')], {}, 'mallory');
      expect(receipt(foreign).noInterest).toBe(true);
      await suite.send([item(address, 'reply')], {}, 'reader');
      expect(new EventView(await reply).id).toBe('reply');
    });

    it('ends at its deadline, naming it', async () => {
      const { topic } = await asked();
      const error = await refusal(request(topic, '1', { timeoutMs: 50 }));
      expect(facts(error)).toEqual({
        code: 'DeadlineExceeded',
        reason: 'NO_REPLY',
        limit: '50 ms',
      });
    });

    it('is refused at once when nobody wants the topic', async () => {
      const { topic } = suite.fresh();
      const error = await refusal(request(topic, '1', { timeoutMs: 20_000 }));
      expect(facts(error)).toEqual({
        code: 'FailedPrecondition',
        reason: 'NO_INTEREST',
        field: 'topic',
      });
    });

    it('is refused when its event was published before', async () => {
      const { topic } = await asked();
      await suite.publish(topic, ['1']);
      const error = await refusal(request(topic, '1', { timeoutMs: 20_000 }));
      expect(facts(error)).toMatchObject({
        code: 'AlreadyExists',
        reason: 'DUPLICATE_REQUEST',
        field: 'id',
      });
    });

    it.each([0, 300_001, 1.5])('refuses to wait for %d ms', async (timeoutMs) => {
      const { topic } = await asked();
      const error = await refusal(request(topic, '1', { timeoutMs }));
      const limit = '1 to 300000 ms';
      expect(facts(error)).toMatchObject({ code: 'InvalidArgument', field: 'timeoutMs', limit });
    });

    it('is not for later, and not to an inbox', async () => {
      const { topic } = await asked();
      const options = { timeoutMs: 20_000 };
      const later = { ...item(topic, '1'), deliverAfterMs: 1000 };
      const scheduled = suite.port.request(suite.session(), later, options);
      expect(facts(await refusal(scheduled))).toMatchObject({ field: 'deliverAtMs' });
      const inbox = request(`$inbox/west/x/${'a'.repeat(22)}`, '1', options);
      expect(facts(await refusal(inbox))).toMatchObject({ field: 'topic' });
    });

    it('is refused to who may not publish there', async () => {
      const { topic } = await asked();
      const options = { timeoutMs: 20_000 };
      const call = suite.port.request(suite.session('reader'), item(topic, '1'), options);
      expect(facts(await refusal(call))).toMatchObject({ code: 'PermissionDenied' });
    });

    it('ends when the requester leaves, or has left already', async () => {
      const { topic, replyTo } = await asked();
      const leaving = new AbortController();
      const { signal } = leaving;
      const call = refusal(request(topic, '1', { timeoutMs: 20_000, signal }));
      await replyTo();
      leaving.abort();
      expect((await call).code).toBe('Cancelled');
      const error = await refusal(request(topic, '2', { timeoutMs: 20_000, signal }));
      expect(error.code).toBe('Cancelled');
    });
  });
}
