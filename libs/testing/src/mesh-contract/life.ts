import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventView } from '@eventmesh/event';
import { eventually } from '../eventually.ts';
import { facts, item, refusal, Suite, type MeshUnderTest } from './suite.ts';

export function describeLife(suite: Suite, make: () => Promise<MeshUnderTest>): void {
  describe('authenticate', () => {
    it('answers who the caller is', async () => {
      const { principal, expiresMs } = suite.session();
      expect(principal).toMatchObject({ kind: 'user', name: 'alice' });
      expect(expiresMs).toBe(0);
      const { tenant } = suite.session('mallory').principal;
      expect(tenant).not.toBe(principal.tenant);
      expect(suite.session('reader').principal.tenant).toBe(principal.tenant);
    });

    it('refuses no credential, and a wrong one', async () => {
      const missing = await refusal(suite.port.authenticate(undefined));
      expect(facts(missing)).toEqual({
        code: 'Unauthenticated',
        reason: 'CREDENTIAL_MISSING',
        field: 'authorization',
      });
      const wrong = await refusal(suite.port.authenticate(`Basic ${btoa('alice:wrong')}`));
      expect(wrong.code).toBe('Unauthenticated');
    });
  });

  describe('drain', () => {
    const drained = new Suite(make);
    beforeAll(() => drained.start(), 60_000);
    afterAll(() => drained.stop(), 60_000);

    it('refuses new work by a rejection, and ends whoever waits', async () => {
      const { name, topic } = await drained.subscription();
      const consumer = await drained.attach({ subscription: name, creditEvents: 9 });
      const { port } = drained;
      expect(port.draining.aborted).toBe(false);
      const options = { timeoutMs: 20_000 };
      const waiting = refusal(port.request(drained.session(), item(topic, 'asked'), options));
      const { event } = await consumer.delivery(0);
      expect(new EventView(event).id).toBe('asked');
      drained.under.drain();
      await eventually(() => expect(port.draining.aborted).toBe(true));
      const draining = { code: 'Unavailable', reason: 'DRAINING' };
      expect(facts(await waiting)).toMatchObject(draining);
      const attempts = [
        () => drained.send([item(topic, '1')]),
        () => drained.attach({ subscription: name }),
        () => port.request(drained.session(), item(topic, '2'), options),
      ];
      for (const attempt of attempts) {
        // Not thrown: the call answers a promise.
        const error = await refusal(attempt());
        expect(facts(error)).toMatchObject(draining);
        expect(error.details.retryAfterMs).toBeGreaterThan(0);
      }
      // Whoever did not leave by then is told when it stops.
      await drained.stop();
      expect(consumer.sink.end?.reason).toMatchObject(draining);
      await consumer.leave();
      expect(consumer.sink.late).toBe(0);
    });
  });
}
