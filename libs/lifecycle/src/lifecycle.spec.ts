import { describe, expect, it } from '@jest/globals';
import { Metrics, counter } from '@eventmesh/telemetry';
import { AdminServer, Readiness } from './index.ts';

describe('readiness', () => {
  it('waits for every latch and names what it waits for', () => {
    const readiness = new Readiness();
    const store = readiness.latch('store');
    const registry = readiness.latch('registry');
    store();
    expect([readiness.ready, readiness.waitingFor]).toEqual([false, ['registry']]);
    registry();
    expect(readiness.ready).toBe(true);
    readiness.drain();
    expect([readiness.ready, readiness.waitingFor]).toEqual([false, ['draining']]);
  });
});

describe('the admin server', () => {
  it('tells life, readiness and metrics, and 404 for anything else', async () => {
    const readiness = new Readiness();
    const release = readiness.latch('starting');
    const metrics = new Metrics();
    metrics.use({ seen: counter('x_seen_total', 'Seen.') }).seen.inc();
    const server = new AdminServer({ host: '127.0.0.1', port: 0 }, readiness, metrics);
    await server.start();
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    try {
      expect((await get('/livez')).status).toBe(200);
      expect(await get('/readyz')).toEqual({ status: 503, text: 'not ready: starting\n' });
      release();
      expect((await get('/readyz')).status).toBe(200);
      expect((await get('/metrics')).text).toContain('x_seen_total 1');
      expect((await get('/')).status).toBe(404);
    } finally {
      await server.stop();
    }
  });

  it('says which address cannot be listened on', async () => {
    const first = new AdminServer({ host: '127.0.0.1', port: 0 }, new Readiness(), new Metrics());
    await first.start();
    const second = new AdminServer(
      { host: '127.0.0.1', port: first.port },
      new Readiness(),
      new Metrics(),
    );
    await expect(second.start()).rejects.toThrow(`127.0.0.1:${first.port}`);
    await first.stop();
  });
});
