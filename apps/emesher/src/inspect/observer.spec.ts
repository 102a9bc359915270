import { describe, expect, it } from '@jest/globals';
import { Metrics, createTracing } from '@eventmesh/telemetry';
import { DeliveryEngine, type Entry } from '@eventmesh/delivery';
import { emesherMetrics } from '../metrics.ts';
import { Journal } from './journal.ts';
import { deliveryObserver } from './observer.ts';
import { record, subscription } from './why/test/billing.ts';

const tracing = await createTracing({ service: 'test', sampleRatio: 0 });

/** Events at positions from 1 on, each with why its last delivery failed. */
function entries(...reasons: readonly string[]): Entry[] {
  const engine = new DeliveryEngine({
    spec: subscription,
    epoch: 1,
    now: () => 0,
    random: () => 0,
    mayReceive: () => true,
    heldMax: 100,
    heldBytesMax: 1000,
    parkedKeysMax: 0,
    cursorBytesMax: 1000,
    retryWindow: 16,
  });
  engine.openPartition(0, 1);
  return reasons.flatMap((reason, index) => {
    engine.offer(0, index + 1, record);
    const entry = engine.find(0, index + 1);
    return entry === undefined ? [] : [Object.assign(entry, { reason })];
  });
}

describe('how events ended', () => {
  it.each([
    ['dead-lettered', ['bad', 'bad', 'worse'], ['bad', 'bad', 'worse']],
    ['dropped', ['bad', ''], ['bad', '']],
    ['expired', ['', 'bad'], ['', 'its last delivery failed: bad']],
    ['forbidden', ['', 'bad'], ['', '']],
    ['dropped', ['x'.repeat(1000)], ['x'.repeat(256)]],
  ] as const)('is remembered as %s, with the cause', (how, reasons, causes) => {
    const journal = new Journal(10);
    const metrics = new Metrics().use(emesherMetrics);
    const observer = deliveryObserver({ site: 'west', journal, metrics, tracing });
    observer.onEnded(subscription, entries(...reasons), how);
    const places = reasons.map((_, index) => ({ partition: 0, position: index + 1 }));
    const steps = journal.steps('t', places).sort((a, b) => a.position - b.position);
    expect(steps.map(({ detail }) => detail)).toEqual(causes);
    expect(steps.every(({ step, subject }) => step === how && subject === 'billing')).toBe(true);
  });
});
