import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import {
  Metrics,
  counter,
  createLogger,
  createTracing,
  gauge,
  queueGauge,
  parseTraceparent,
  traceparentOf,
} from './index.ts';

describe('the logger', () => {
  it('writes one JSON object a line and never a secret, however deep', () => {
    const lines: string[] = [];
    const log = createLogger({
      level: 'info',
      service: 's',
      site: 'west',
      destination: { write: (line) => lines.push(line) },
    });
    log.info({ a: { b: { password: 'hunter2' } }, authorization: 'Bearer hunter2' }, 'hello');
    log.debug({}, 'not written');
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('hunter2');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ service: 's', site: 'west', msg: 'hello' });
  });
});

describe('metrics', () => {
  const definitions = {
    seen: counter('x_seen_total', 'Seen.', ['who']),
    level: gauge('x_level', 'Level.'),
  };

  it('are shared by parts that define the same name in one process', async () => {
    const metrics = new Metrics();
    metrics.use(definitions).seen.inc({ who: 'a' }, 2);
    metrics.use(definitions).seen.inc({ who: 'a' });
    expect(await metrics.value('x_seen_total', { who: 'a' })).toBe(3);
    expect(await metrics.value('x_seen_total', { who: 'b' })).toBe(0);
    expect(await metrics.render()).toContain('x_seen_total{who="a"} 3');
  });

  it('read queues when somebody looks and tell the fullest of those that live', async () => {
    const metrics = new Metrics();
    const waiting = queueGauge('x_waiting', 'Waiting.');
    metrics.use({ waiting });
    expect(await metrics.render()).toContain('x_waiting 0');
    const fills = [3, 7];
    let reads = 0;
    const ends = fills.map((_, index) =>
      metrics.measure(waiting, () => {
        reads++;
        return fills[index] ?? 0;
      }),
    );
    expect(reads).toBe(0);
    expect(await metrics.value('x_waiting')).toBe(7);
    fills[0] = 9;
    expect(await metrics.value('x_waiting')).toBe(9);
    ends[0]?.();
    ends[0]?.();
    expect(await metrics.value('x_waiting')).toBe(7);
    ends[1]?.();
    expect(await metrics.render()).toContain('x_waiting 0');
  });

  it('have what keeps books of its own tell them whenever somebody looks, and only then', async () => {
    const metrics = new Metrics();
    const { books } = metrics.use({ books: gauge('x_books', 'Books.') });
    let told = 0;
    const stop = metrics.beforeLook(() => books.set(++told));
    expect(told).toBe(0);
    expect(await metrics.value('x_books')).toBe(1);
    expect(await metrics.render()).toContain('x_books 2');
    stop();
    expect(await metrics.value('x_books')).toBe(2);
  });
});

describe('traceparent', () => {
  it.each([
    ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', true],
    ['00-00000000000000000000000000000000-00f067aa0ba902b7-01', false],
    ['00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01', false],
    ['4bf92f3577b34da6a3ce929d0e0e4736', false],
    ['', false],
  ])('%s is valid: %s', (text, valid) => {
    expect(parseTraceparent(text) !== undefined).toBe(valid);
  });
});

describe('tracing', () => {
  it('makes nothing while it is off', async () => {
    const tracing = await createTracing({ service: 's', otlpUrl: undefined, sampleRatio: 1 });
    expect([tracing.enabled, tracing.start('x', undefined)]).toEqual([false, undefined]);
  });

  it('sends spans over OTLP, children under the trace of the event, unsampled ones not', async () => {
    const bodies: string[] = [];
    const collector = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(Buffer.concat(chunks).toString('utf8'));
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    const otlpUrl = `http://127.0.0.1:${port}/v1/traces`;
    const tracing = await createTracing({ service: 's', site: 'west', otlpUrl, sampleRatio: 1 });
    const root = tracing.start('publish', undefined);
    const parent = root === undefined ? '' : traceparentOf(root);
    const child = tracing.start('settle', parent);
    expect(child?.spanContext().traceId).toBe(root?.spanContext().traceId);
    expect(tracing.start('never', `${parent.slice(0, -2)}00`)).toBeUndefined();
    child?.end();
    root?.end();
    await tracing.close();
    await new Promise<void>((resolve) => collector.close(() => resolve()));
    expect(bodies.join()).toContain('settle');
    expect(bodies.join()).toContain('publish');
  });

  it('drops the spans that find no room, and says how many wait', async () => {
    const collector = createServer((request, response) => {
      request.resume().on('end', () => {
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    const metrics = new Metrics();
    const tracing = await createTracing({
      service: 's',
      otlpUrl: `http://127.0.0.1:${port}/v1/traces`,
      sampleRatio: 1,
      spansMax: 16,
      metrics,
    });
    expect(await metrics.value('eventmesh_spans_waiting')).toBe(0);
    for (let n = 0; n < 100; n++) tracing.start('x', undefined)?.end();
    const waiting = await metrics.value('eventmesh_spans_waiting');
    expect(waiting).toBeGreaterThan(0);
    expect(waiting).toBeLessThanOrEqual(16);
    await tracing.close();
    expect(await metrics.value('eventmesh_spans_waiting')).toBe(0);
    await new Promise<void>((resolve) => collector.close(() => resolve()));
  });
});
