import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RetryPolicy_Kind } from '@eventmesh/proto-gen/subscriber';
import type { Delivery, MeshClient } from '@eventmesh/sdk';
import { eventually, startProxy, tempDir, type FaultProxy } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace, type MeshRun } from './run-mesh.ts';

const TEST_MS = 60_000;
/** The least that there is. */
const ACK_TIMEOUT_MS = 1000;
/** From the end of a lease until its event is out again. */
const AGAIN_MS = 2000;

const dir = tempDir('lost-consumers');
const workspace = new Workspace();
let site: OneSite;
let proxy: FaultProxy;
let publisher: MeshClient;

beforeAll(async () => {
  site = await OneSite.start(dir.path);
  proxy = await startProxy({ port: site.grpcPort });
  publisher = site.client('publisher');
}, 60_000);

afterAll(async () => {
  await proxy?.close();
  await site?.stop();
  await workspace.remove();
  dir.remove();
});

interface Taken {
  readonly deliveries: Delivery[];
  readonly opened: Promise<unknown>;
  readonly leave: () => Promise<void>;
}

function take(name: string, port: number, accept: boolean): Taken {
  const stop = new AbortController();
  const deliveries: Delivery[] = [];
  const stream = site
    .client('subscriber', port)
    .subscribe({ subscription: name, signal: stop.signal });
  const ended = (async () => {
    for await (const delivery of stream) {
      deliveries.push(delivery);
      if (accept) delivery.accept();
    }
  })().catch(() => undefined); // The connection is cut, or the test leaves.
  const leave = async () => {
    stop.abort();
    await ended;
  };
  return { deliveries, opened: stream.opened, leave };
}

async function prepare(name: string, ackTimeoutMs = ACK_TIMEOUT_MS): Promise<void> {
  const subscription = {
    name,
    topicFilters: [`lost/${name}`],
    ackTimeoutMs: BigInt(ackTimeoutMs),
    retry: { delayMs: 1n, kind: RetryPolicy_Kind.LINEAR },
  };
  await site.client('subscriber').subscriptions.createSubscription({ subscription });
}

const publish = async (name: string, ids: readonly string[]): Promise<void> => {
  for (const id of ids)
    await publisher.publish(`lost/${name}`, { id, source: `/${name}`, type: 't' });
};

const books = async (name: string) => {
  const { status } = await site.client('subscriber').subscriptions.getSubscription({ name });
  return status;
};

const ids = ({ deliveries }: Taken): string[] => deliveries.map(({ event }) => event.id);

describe('a consumer that is lost with what it has', () => {
  it(
    'by a connection that is reset has it given to another one at once',
    async () => {
      // No lease runs out here: only the disconnect can bring its events back.
      await prepare('reset', 600_000);
      const lost = take('reset', proxy.port, false);
      await lost.opened;
      await publish('reset', ['1', '2', '3']);
      await eventually(() => expect(ids(lost)).toEqual(['1', '2', '3']));
      const other = take('reset', site.grpcPort, true);
      await other.opened;
      proxy.cut();
      await eventually(() => expect(ids(other)).toEqual(['1', '2', '3']));
      proxy.heal();
      await eventually(async () => expect(await books('reset')).toMatchObject({ delivered: 3n }));
      await Promise.all([lost.leave(), other.leave()]);
    },
    TEST_MS,
  );

  it(
    'behind a connection that passes nothing on has it given to another one when its lease is over',
    async () => {
      await prepare('silent');
      const lost = take('silent', proxy.port, true);
      await lost.opened;
      proxy.stallOneWay('to-target');
      await publish('silent', ['1', '2', '3']);
      await eventually(() => expect(ids(lost)).toEqual(['1', '2', '3']));
      const from = performance.now();
      const other = take('silent', site.grpcPort, true);
      await other.opened;
      await eventually(async () => expect(await books('silent')).toMatchObject({ delivered: 3n }), {
        timeoutMs: 4 * (ACK_TIMEOUT_MS + AGAIN_MS),
      });
      expect(performance.now() - from).toBeLessThan(4 * (ACK_TIMEOUT_MS + AGAIN_MS));
      const again = other.deliveries.filter(({ attempt }) => attempt > 1);
      expect(again.length).toBeGreaterThan(0);
      proxy.heal();
      await Promise.all([lost.leave(), other.leave()]);
      // What the lost one settled came late, and is not counted a second time.
      expect(await books('silent')).toMatchObject({ delivered: 3n, held: 0n });
    },
    TEST_MS,
  );

  it(
    'by a kill of its process loses nothing that it had not printed',
    async () => {
      await prepare('killed');
      const run = (): MeshRun =>
        workspace.start('sub', '--name', 'killed', '-o', 'json', ...site.flags('subscriber'));
      const first = run();
      await eventually(async () => expect((await books('killed'))?.consumers).toBe(1), {
        timeoutMs: 20_000,
      });
      const wanted = Array.from({ length: 200 }, (_, n) => `k-${n}`);
      const publishing = publish('killed', wanted);
      await first.until(/k-20\b/);
      await first.stop('SIGKILL');
      await publishing;
      const second = run();
      await eventually(
        () => {
          const printed = new Set(`${first.out}${second.out}`.match(/k-\d+/g));
          expect(wanted.filter((id) => !printed.has(id))).toEqual([]);
        },
        { timeoutMs: 30_000 },
      );
      await second.stop('SIGINT');
    },
    TEST_MS,
  );
});
