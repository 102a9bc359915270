import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Delivery, Settled } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { Metrics } from '@eventmesh/telemetry';
import { ConsumerQueue } from './consumer-queue.ts';

const BYTES_MAX = 1000;

const delivery = (bytes: number): Delivery => ({
  id: 1,
  attempt: 1,
  topic: 'a',
  event: Buffer.alloc(bytes),
  partition: 0,
  position: 1,
  originSite: 'west',
  ingressTimeUs: 0,
});

/** A mesh that delivers as the credit allows: one event may go below the bytes. */
class Mesh {
  events = 0;
  bytes = 0;
  bounded = false;
  detached = 0;

  credit(events: number, bytes = 0): void {
    this.events += events;
    this.bytes += bytes;
    if (bytes > 0) this.bounded = true;
  }

  drain(): Promise<void> {
    this.events = 0;
    this.bytes = 0;
    this.bounded = false;
    return Promise.resolve();
  }

  settle(ids: readonly number[]): Settled {
    return { refused: ids, count: 0 };
  }

  detach(): Promise<void> {
    this.detached++;
    return Promise.resolve();
  }

  get ready(): boolean {
    return this.events > 0 && (!this.bounded || this.bytes > 0);
  }

  deliver(queue: ConsumerQueue, bytes: number): void {
    this.events--;
    this.bytes -= bytes;
    queue.deliver([delivery(bytes)]);
  }
}

function rig(consumerMessagesMax = 10) {
  const metrics = new Metrics();
  const limits = { consumerBytesMax: BYTES_MAX, consumerMessagesMax, metrics };
  const queue = new ConsumerQueue(limits);
  const mesh = new Mesh();
  queue.open(mesh, {});
  const messages = queue.messages();
  return { queue, mesh, messages, bytes: () => metrics.value('eventmesh_consumer_bytes') };
}

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const message of messages) if (message === undefined) return;
}

describe('what waits for a gRPC consumer', () => {
  it('is bounded in bytes for one that gives any credit and does not read', async () => {
    const { queue, mesh, messages, bytes } = rig();
    await messages.next();
    queue.credit(1_000_000, 0);
    let delivered = 0;
    for (; mesh.ready; delivered++) mesh.deliver(queue, 100);
    expect(delivered).toBe(10);
    expect(await bytes()).toBeGreaterThanOrEqual(1000);
    for (let read = 0; read < delivered; read++) await messages.next();
    // What has been read is room again.
    expect(mesh.ready).toBe(true);
  });

  it('never is more than the bound and one event, and nothing stalls, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(
          fc.tuple(fc.constantFrom('credit', 'deliver', 'deliver', 'deliver', 'read'), fc.nat(400)),
          {
            maxLength: 200,
          },
        ),
        async (bounded, steps) => {
          const { queue, mesh, messages, bytes } = rig();
          await messages.next();
          let waiting = 0;
          let asked = 0;
          let got = 0;
          const read = async () => {
            if (waiting === 0) return;
            await messages.next();
            waiting--;
          };
          const deliver = (size: number) => {
            if (!mesh.ready) return;
            mesh.deliver(queue, size);
            got += size;
            waiting++;
          };
          for (const [step, size] of steps) {
            if (step === 'credit') {
              asked += size + 1;
              queue.credit(size + 1, bounded ? size + 1 : 0);
            } else if (step === 'deliver') deliver(size);
            else await read();
            // A frame that is with the transport counts until the next one is asked for.
            const frames = (waiting + 1) * 256;
            expect(await bytes()).toBeLessThanOrEqual(BYTES_MAX + 400 + frames);
          }
          // Once the consumer reads it gets all that it has asked for.
          queue.credit(1000, bounded ? 5000 : 0);
          const wanted = bounded ? asked + 5000 : got + 5000;
          const reading = readAll(messages);
          for (let round = 0; round < 400 && got < wanted; round++) {
            while (mesh.ready && got < wanted) deliver(400);
            await new Promise((resolve) => setImmediate(resolve));
          }
          expect(got).toBeGreaterThanOrEqual(wanted);
          queue.end();
          await reading;
          expect(await bytes()).toBe(0);
        },
      ),
    );
  });

  it('is what comes before its credit is taken back, and what it asks for after that', async () => {
    const { queue, mesh, messages } = rig();
    const next = async () => {
      const { value } = (await messages.next()) as { value: { message?: { case: string } } };
      return value.message?.case ?? 'deliveries';
    };
    // More than may be granted at once, of which one event is used.
    queue.credit(1000, 10 * BYTES_MAX);
    mesh.deliver(queue, BYTES_MAX + 1);
    queue.drain();
    const read: string[] = [];
    for (let n = 0; n < 3; n++) read.push(await next());
    expect(read).toEqual(['opened', 'deliveries', 'drained']);
    // Neither what was overdrawn nor what had not been granted is left.
    expect([mesh.ready, mesh.bytes]).toEqual([false, 0]);
    queue.credit(2, 100);
    expect([mesh.events, mesh.bytes]).toEqual([2, 100]);
  });

  it('is ended when it is told without end what it does not read, and lets go of its events', async () => {
    const { queue, mesh, messages } = rig(3);
    for (let settle = 0; settle < 5; settle++) queue.settle([settle], { kind: 'accept' }, false);
    expect(mesh.detached).toBeGreaterThan(0);
    await expect(readAll(messages)).rejects.toMatchObject(
      new MeshError('ResourceExhausted', 'the consumer does not read what it is told'),
    );
  });
});
