import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { startNats, tempDir, type NatsServer, type TempDir } from '@eventmesh/testing';
import type { NatsConnection, Subscription } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { ask } from './ask.ts';
import { Connection } from './connection.ts';
import { openJetStreamStore } from './index.ts';
import { Marks } from './marks.ts';
import { StateBucket } from './state.ts';
import { nothingOf, trimmedUpTo } from './stored.ts';
import { streamRange } from './streams.ts';

const PLACE = { stream: 'eventmesh-log-0', log: 'log', partition: 0 };
/** Long enough for a call to be made again on a busy machine. */
const PATIENCE_MS = 10_000;
/** For what is waited for in vain. */
const SHORT_MS = 300;

/** What a server of a cluster says when it knows of no leader. */
const NOT_AVAILABLE = {
  error: { code: 503, err_code: 10008, description: 'JetStream system temporarily unavailable' },
};
const failed = (code: number, err_code: number) => ({
  error: { code, err_code, description: `error ${err_code}` },
});
const NOT_FOUND = { error: { code: 404, err_code: 10037, description: 'no message found' } };
const INFO = {
  config: { name: PLACE.stream, num_replicas: 3 },
  state: { messages: 10, bytes: 1000, first_seq: 1, last_seq: 10, consumer_count: 0 },
};
const message = (seq: number) => ({
  message: { subject: 'eventmesh.log.0.default.a', seq, data: '', time: new Date(0).toISOString() },
});

/** An answer of the API; undefined: none. */
type Answer = object | undefined;

const INFO_SUBJECT = `$JS.API.STREAM.INFO.${PLACE.stream}`;
const GET_SUBJECT = `$JS.API.STREAM.MSG.GET.${PLACE.stream}`;

const refusal = (call: Promise<unknown>): Promise<MeshError> =>
  call.then(
    (value) => {
      throw new Error(`answered ${JSON.stringify(value)}`);
    },
    (error: unknown) => MeshError.from(error),
  );

/** A server whose JetStream API is spoken by the test: what a cluster says only for a moment. */
describe('a JetStream API without a leader', () => {
  let dir: TempDir;
  let server: NatsServer;
  let api: NatsConnection;
  let connection: Connection;
  let answering: Subscription[] = [];
  const asked = new Map<string, number>();

  beforeAll(async () => {
    dir = tempDir('leaderless');
    server = await startNats({ dir: dir.path, jetstream: false });
    api = await connect({ servers: server.url });
  });
  afterAll(async () => {
    await api.close();
    await server.stop();
    dir.remove();
  });
  afterEach(async () => {
    await connection.close();
    for (const each of answering) each.unsubscribe();
    answering = [];
    asked.clear();
    await api.flush();
  });

  /** Answers a subject with one after the other, and then with the last one for ever. */
  const answer = async (subject: string, ...answers: Answer[]): Promise<void> => {
    const subscription = api.subscribe(subject, {
      callback: (_error, request) => {
        const count = asked.get(subject) ?? 0;
        asked.set(subject, count + 1);
        const found = answers[Math.min(count, answers.length - 1)];
        if (found !== undefined) request.respond(JSON.stringify({ type: 'answer', ...found }));
      },
    });
    answering.push(subscription);
    await api.flush();
  };

  const open = async (ackTimeoutMs = PATIENCE_MS): Promise<Connection> => {
    await answer('$JS.API.INFO', { memory: 0, storage: 0, limits: {} });
    connection = await Connection.open({ servers: [server.url], ackTimeoutMs });
    connection.started();
    return connection;
  };

  it.each<[string, Answer]>([
    ['no leader (10008)', NOT_AVAILABLE],
    ['not the leader (10009)', failed(500, 10009)],
    ['not all of it (10004)', failed(503, 10004)],
    ['an offline stream (10118)', failed(500, 10118)],
    ['no suitable peers (10005)', failed(400, 10005)],
  ])('is asked again after it said: %s', async (_what, said) => {
    await open();
    await answer(INFO_SUBJECT, said, said, INFO);
    expect(await streamRange(connection, PLACE.stream)).toEqual({
      first: 1,
      last: 10,
      bytes: 1000,
    });
    expect(asked.get(INFO_SUBJECT)).toBe(3);
  });

  it('is asked again when it did not answer, and when nobody was there', async () => {
    await open(2000);
    await answer(INFO_SUBJECT, undefined, INFO);
    expect((await streamRange(connection, PLACE.stream)).last).toBe(10);
    let attempts = 0;
    const get = await ask(connection, async () => {
      if (++attempts === 3) await answer(GET_SUBJECT, message(4));
      return connection.jsm.streams.getMessage(PLACE.stream, { seq: 4 });
    });
    expect([get?.seq, attempts]).toEqual([4, 3]);
  });

  it.each<[string, string, Answer[]]>([
    ['NO_LEADER', 'majority', [NOT_AVAILABLE]],
    ['NO_PEERS', 'not enough servers', [failed(400, 10005)]],
    ['NO_ANSWER', 'did not answer in time', [undefined]],
    ['NO_LEADER', 'no stream answers', []],
  ])('is Unavailable with %s (%s) when its time is up', async (reason, text, answers) => {
    await open(SHORT_MS);
    if (answers.length > 0) await answer(INFO_SUBJECT, ...answers);
    const error = await refusal(streamRange(connection, PLACE.stream));
    expect(error).toMatchObject({ code: 'Unavailable', retryable: true, details: { reason } });
    expect(error.message).toContain(text);
    expect(error.message).toContain(`${SHORT_MS} ms`);
  });

  it('is not asked again when somebody who knows has answered', async () => {
    await open();
    await answer(INFO_SUBJECT, failed(404, 10059));
    expect((await refusal(streamRange(connection, PLACE.stream))).code).toBe('NotFound');
    await answer(GET_SUBJECT, failed(503, 10023));
    const get = () => connection.jsm.streams.getMessage(PLACE.stream, { seq: 4 });
    expect((await refusal(ask(connection, get))).code).toBe('ResourceExhausted');
    expect([...asked.values()]).toEqual([1, 1, 1]);
  });

  it('is waited for at open, and then refused with what it said', async () => {
    await answer('$JS.API.INFO', NOT_AVAILABLE);
    const options = { servers: [server.url], connectTimeoutMs: SHORT_MS };
    const error = await refusal(openJetStreamStore(options));
    expect(error.code).toBe('Unavailable');
    expect(error.message).toMatch(/cannot reach JetStream at nats:.*no leader/);
    expect(asked.get('$JS.API.INFO')).toBeGreaterThan(1);
  });

  describe('when a stream seems to end before its mark', () => {
    const MARKS = 'KV_eventmesh-marks';
    const mark = {
      message: {
        subject: '$KV.eventmesh-marks.log/log',
        seq: 1,
        data: Buffer.from('[10]').toString('base64'),
        time: new Date(0).toISOString(),
      },
    };
    const check = async (patienceMs: number, ...said: Answer[]): Promise<void> => {
      await open(patienceMs);
      for (const name of ['KV_eventmesh-state', MARKS]) {
        await answer(`$JS.API.STREAM.INFO.${name}`, { ...INFO, config: { name } });
      }
      await answer(`$JS.API.STREAM.MSG.GET.${MARKS}`, mark);
      await answer(INFO_SUBJECT, { ...INFO, state: { ...INFO.state, last_seq: 8 } });
      await answer(GET_SUBJECT, ...said);
      const state = await StateBucket.open(connection, 'eventmesh', 3);
      const marks = await Marks.open(connection, 'eventmesh', 3, state);
      await marks.check(PLACE);
    };

    it('is whole when the leader has the record, whoever answered for the stream', async () => {
      await expect(check(PATIENCE_MS, NOT_AVAILABLE, message(10))).resolves.toBeUndefined();
    });

    it('is DataLoss only when the leader says that it has no such record', async () => {
      const lost = { code: 'DataLoss', details: { reason: 'RECORDS_LOST' } };
      expect(await refusal(check(PATIENCE_MS, NOT_FOUND))).toMatchObject(lost);
    });

    it('stays open while nobody leads', async () => {
      expect((await refusal(check(1000, NOT_AVAILABLE))).details.reason).toBe('NO_LEADER');
    });
  });

  describe('when a record did not come', () => {
    it('is read again when the leader has it', async () => {
      await open();
      await answer(INFO_SUBJECT, INFO);
      await answer(GET_SUBJECT, NOT_AVAILABLE, NOT_AVAILABLE, message(4));
      expect(await refusal(trimmedUpTo(connection, PLACE, 4, 6))).toMatchObject({
        details: { reason: 'REPLICA_BEHIND' },
      });
    });

    it.each<[string, Answer]>([
      ['no leader', NOT_AVAILABLE],
      ['not the leader', failed(500, 10009)],
      ['no room', failed(503, 10023)],
      ['nothing', undefined],
    ])('is never DataLoss while the API says %s', async (_what, said) => {
      await open(SHORT_MS);
      await answer(INFO_SUBJECT, INFO);
      await answer(GET_SUBJECT, said);
      const error = await refusal(trimmedUpTo(connection, PLACE, 4, 6));
      expect(error.code).not.toBe('DataLoss');
      expect(error.retryable).toBe(true);
      const none = nothingOf(connection, PLACE.stream, ['a'], { from: 4, to: 6 });
      expect((await refusal(none)).retryable).toBe(true);
    });

    it('is DataLoss when the leader answers that it has none', async () => {
      await open();
      await answer(INFO_SUBJECT, INFO);
      await answer(GET_SUBJECT, NOT_AVAILABLE, NOT_FOUND);
      expect(await refusal(trimmedUpTo(connection, PLACE, 4, 6))).toMatchObject({
        code: 'DataLoss',
        details: { reason: 'POSITION_MISSING', facts: { from: '4', to: '5' } },
      });
    });

    it('is a trim when it was trimmed while the leader was asked', async () => {
      await open();
      await answer(INFO_SUBJECT, INFO, { ...INFO, state: { ...INFO.state, first_seq: 6 } });
      await answer(GET_SUBJECT, NOT_FOUND);
      expect(await trimmedUpTo(connection, PLACE, 4, 6)).toBe(6);
    });

    it('is left to the marks when the leader ends before it', async () => {
      await open();
      await answer(INFO_SUBJECT, INFO);
      await answer(GET_SUBJECT, NOT_FOUND);
      expect(await refusal(trimmedUpTo(connection, PLACE, 11, 13))).toMatchObject({
        details: { reason: 'REPLICA_BEHIND' },
      });
    });
  });
});
