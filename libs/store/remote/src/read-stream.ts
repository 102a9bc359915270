import { MeshError } from '@eventmesh/errors';
import type { EventStoreService, ReadOpen, ReadResponse } from '@eventmesh/proto-gen/store';
import { AsyncQueue, type Client } from '@eventmesh/rpc';
import { storeClosed, type ReadFrom, type ReadItem, type ReadOptions } from '@eventmesh/store-api';
import { Backoff, pause } from '@eventmesh/time';

const READ_AHEAD_BYTES = 4 * 1024 * 1024;
/** First and longest pause before the next attempt, in ms; each is jittered. */
const RETRY_MS = 100;
const RETRY_MS_MAX = 2000;

interface OpenRequest {
  readonly message: {
    readonly case: 'open';
    readonly value: Omit<ReadOpen, '$typeName' | '$unknown'>;
  };
}
interface CreditRequest {
  readonly message: { readonly case: 'creditBytes'; readonly value: bigint };
}

/**
 * Reads through the gateway with a credit of bytes: what the consumer has taken is given back when
 * it asks for more. When the connection breaks, the read goes on at the next position.
 */
export async function* readRemote(
  client: Client<typeof EventStoreService>,
  options: ReadOptions,
  closing: AbortSignal,
): AsyncGenerator<ReadItem> {
  const signal =
    options.signal === undefined ? closing : AbortSignal.any([options.signal, closing]);
  let from = options.from;
  let opened = false;
  const backoff = new Backoff({ baseMs: RETRY_MS, maxMs: RETRY_MS_MAX });
  for (;;) {
    try {
      for await (const item of readOnce(client, { ...options, from }, signal)) {
        backoff.reset();
        if (item.kind === 'opened') {
          from = { kind: 'position', position: item.position };
          // Where it goes on after a break is nothing that the consumer has to know.
          if (opened) continue;
          opened = true;
        } else {
          const upTo = item.kind === 'gap' ? item.to : item.upTo;
          from = { kind: 'position', position: upTo + 1 };
        }
        yield item;
      }
      if (closing.aborted) throw storeClosed();
      return;
    } catch (thrown) {
      if (closing.aborted) throw storeClosed();
      if (options.signal?.aborted === true) return;
      const error = MeshError.from(thrown);
      // A server that is cut off in the middle resets its streams, which reads as Cancelled.
      if (error.code !== 'Unavailable' && error.code !== 'Cancelled') throw error;
      await pause(backoff.nextMs(), signal);
    }
  }
}

async function* readOnce(
  client: Client<typeof EventStoreService>,
  options: ReadOptions,
  signal: AbortSignal,
): AsyncGenerator<ReadItem> {
  const requests = new AsyncQueue<OpenRequest | CreditRequest>();
  requests.push(openRequest(options));
  try {
    for await (const response of client.read(requests, { signal })) {
      const item = toItem(response);
      if (item === undefined) continue;
      yield item;
      // The consumer came back for more: what it had is done with.
      if (item.kind === 'batch' && item.records.length > 0) {
        const bytes = item.records.reduce((sum, { length }) => sum + length, 0);
        requests.push({ message: { case: 'creditBytes', value: BigInt(bytes) } });
      }
    }
  } finally {
    requests.end();
  }
}

function openRequest(options: ReadOptions): OpenRequest {
  return {
    message: {
      case: 'open',
      value: {
        log: options.log,
        partition: options.partition,
        from: fromToWire(options.from),
        stopAtEnd: options.stopAtEnd ?? false,
        topicFilters: [...(options.topicFilters ?? [])],
        creditBytes: BigInt(options.readAheadBytes ?? READ_AHEAD_BYTES),
      },
    },
  };
}

function fromToWire(from: ReadFrom): ReadOpen['from'] {
  switch (from.kind) {
    case 'position':
      return { case: 'position', value: BigInt(from.position) };
    case 'time':
      return { case: 'timeMs', value: BigInt(Math.round(from.timeMs)) };
    case 'tail':
      return { case: 'tail', value: true };
  }
}

function toItem({ message }: ReadResponse): ReadItem | undefined {
  switch (message.case) {
    case 'opened':
      return { kind: 'opened', position: Number(message.value.position) };
    case 'gap':
      return {
        kind: 'gap',
        from: Number(message.value.fromPosition),
        to: Number(message.value.toPosition),
      };
    case 'batch':
      return {
        kind: 'batch',
        positions: message.value.positions.map(Number),
        records: message.value.records,
        upTo: Number(message.value.upTo),
      };
    case undefined:
      return undefined; // Of a newer version; nothing that this one has to know.
  }
}
