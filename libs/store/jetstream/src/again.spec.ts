import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { AppendRecord, EventStore } from '@eventmesh/store-api';
import { startNats, tempDir, type NatsServer, type TempDir } from '@eventmesh/testing';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { openJetStreamStore } from './index.ts';

const SPEC = { partitions: 1, retentionMs: 0, retentionBytes: 0, duplicateWindow: 1000 };

/** A stream that does not listen to its subjects is for who publishes as one without a leader. */
describe('appends that nobody takes', () => {
  let dir: TempDir;
  let server: NatsServer;
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  let store: EventStore;
  let logs = 0;
  let log = '';

  beforeAll(async () => {
    dir = tempDir('again');
    server = await startNats({ dir: dir.path });
    nc = await connect({ servers: server.url });
    jsm = await jetstreamManager(nc);
  });
  afterAll(async () => {
    await nc.close();
    await server.stop();
    dir.remove();
  });
  beforeEach(() => {
    log = `log${++logs}`;
  });
  afterEach(() => store.close());

  const open = async (ackTimeoutMs: number): Promise<void> => {
    store = await openJetStreamStore({ servers: [server.url], ackTimeoutMs });
    await store.ensureLog({ name: log, ...SPEC });
    await append(1, 'first');
  };
  const listen = (subject: string) =>
    jsm.streams.update(`eventmesh-${log}-0`, { subjects: [`${subject}.>`] });
  /** Answers appends in the place of the stream, one after the other, and then hands them to it. */
  const answer = async (...answers: ('nobody' | 'conflict' | 'silence')[]): Promise<void> => {
    await listen('elsewhere');
    const subject = `eventmesh.${log}.0`;
    const standIn = nc.subscribe(`${subject}.>`, {
      callback: (_error, message) => {
        const said = answers.shift();
        if (said === 'nobody') message.respond('', { headers: headers(503, 'No Responders') });
        if (said === 'conflict') {
          const error = { code: 400, err_code: 10071, description: 'wrong last sequence' };
          message.respond(JSON.stringify({ error }));
        }
        if (answers.length > 0) return;
        standIn.unsubscribe();
        void listen(subject);
      },
    });
    await nc.flush();
  };
  const append = (count: number, name: string) => {
    const records = Array.from({ length: count }, (_each, n): AppendRecord => ({
      bytes: Buffer.from(`${name} ${n}`),
    }));
    return store.append({ log, partition: 0, records });
  };
  const stored = async (): Promise<string[]> => {
    const names: string[] = [];
    const from = { kind: 'position', position: 1 } as const;
    for await (const item of store.read({ log, partition: 0, from, stopAtEnd: true })) {
      if (item.kind !== 'batch') continue;
      names.push(...item.records.map((bytes) => Buffer.from(bytes).toString()));
    }
    return names;
  };

  it('wait for a leader, and are stored once and in the order of the calls', async () => {
    await open(20_000);
    await listen('elsewhere');
    // Without keys, so that nothing but the store keeps them from being there twice.
    const calls = [append(1, 'a'), append(1, 'b'), append(400, 'c'), append(300, 'd')];
    calls.push(append(1, 'e'));
    await Promise.all([store.ping(), store.logInfo(log)]);
    calls.push(append(2, 'f'));
    await store.logInfo(log);
    await listen(`eventmesh.${log}.0`);
    const receipts = await Promise.all(calls);
    const firsts = receipts.map(({ positions }) => positions[0]);
    expect(firsts).toEqual([2, 3, 4, 404, 704, 705]);
    const names = await stored();
    expect(names.length).toBe(706);
    expect(new Set(names).size).toBe(706);
    expect(store.queues()).toMatchObject({ pendingBytes: 0, inFlight: 0 });
  });

  it('are followed by those that were sent behind them and came to the next leader', async () => {
    await open(20_000);
    await answer('nobody', 'conflict', 'conflict');
    const receipts = await Promise.all([append(1, 'a'), append(1, 'b'), append(1, 'c')]);
    expect(receipts.map(({ positions }) => positions[0])).toEqual([2, 3, 4]);
    expect(await stored()).toEqual(['first 0', 'a 0', 'b 0', 'c 0']);
  });

  it('have a time of their own after others whose outcome was not known', async () => {
    await open(2000);
    await answer('nobody', 'silence', 'nobody');
    await expect(append(1, 'a')).rejects.toMatchObject({ details: { reason: 'NO_ANSWER' } });
    expect((await append(1, 'b')).positions).toEqual([2]);
  });

  it('are refused as Unavailable with NO_LEADER when their time is up, and nothing of them is stored', async () => {
    await open(500);
    await listen('elsewhere');
    const outcomes = await Promise.allSettled([append(1, 'a'), append(300, 'b'), append(1, 'c')]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'Unavailable', retryable: true, details: { reason: 'NO_LEADER' } },
      });
    }
    expect(store.queues()).toMatchObject({ pendingBytes: 0, inFlight: 0 });
    await listen(`eventmesh.${log}.0`);
    expect((await append(1, 'later')).positions).toEqual([2]);
    expect(await stored()).toEqual(['first 0', 'later 0']);
  });
});
