import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
} from '@bufbuild/protobuf';
import type { GovernanceView } from '@eventmesh/clients';
import { NO_REVISIONS } from '@eventmesh/event';
import {
  LinkRequestSchema,
  LinkResponseSchema,
  type LinkRequest,
  type LinkResponse,
} from '@eventmesh/proto-gen/link';
import type { EventStore } from '@eventmesh/store-api';
import { Metrics, createLogger, createTracing } from '@eventmesh/telemetry';
import type { DataPlaneConfig } from '../../config.ts';
import { Journal } from '../../inspect/journal.ts';
import { Ledger } from '../../inspect/ledger.ts';
import { Refusals } from '../../inspect/refusals.ts';
import { ServedBy } from '../../inspect/served-by.ts';
import { Logs } from '../../logs.ts';
import { emesherMetrics } from '../../metrics.ts';
import { LinkOwners } from '../link-owners.ts';
import { receiveLink } from '../receiver.ts';
import { SeenBook } from '../seen.ts';
import type { OutgoingLink } from '../sender.ts';

type Requests = Parameters<OutgoingLink['client']['link']>[0];

const WINDOW_BYTES = 64 * 1024;
const logger = createLogger({ level: 'silent', service: 'test', site: 'east' });
const tracing = await createTracing({ service: 'test', sampleRatio: 0 });

/** What an end of before does not know of the link. */
export type Older = 'sender' | 'receiver' | undefined;

/** The way from west to the real receiving half at east, with every message as it is on the wire. */
export class Wire {
  readonly #east: EventStore;
  readonly #log: DataPlaneConfig['log'];
  older: Older;
  /** East cannot write what west has passed by. */
  marksFail = false;
  /** West does not hear that east has accepted something. */
  deaf = false;
  #framed = 0;
  #accepted = 0;
  #writing = 0;
  readonly #seen = new SeenBook();
  readonly #owners = new LinkOwners();

  constructor(east: EventStore, log: DataPlaneConfig['log']) {
    this.#east = east;
    this.#log = log;
  }

  /** What is sent over older connections waits, as that of a paused process does, until this resolves. */
  pause: Promise<void> | undefined;
  #opened = 0;

  /** All records that were sent are accepted. */
  get quiet(): boolean {
    return this.#framed <= this.#accepted;
  }

  /** East has stored what it was sent over the link, and kept its mark. */
  get stored(): boolean {
    return this.#writing === 0;
  }

  async *open(requests: Requests, signal: AbortSignal): AsyncGenerator<LinkResponse> {
    this.#framed = 0;
    this.#accepted = 0;
    const connection = ++this.#opened;
    const store = this.#faulty();
    const metrics = new Metrics().use(emesherMetrics);
    const ctx = {
      signal,
      draining: new AbortController().signal,
      deadlineMs: undefined,
      metadata: new Map<string, string>(),
      peer: 'test',
    };
    const responses = receiveLink(
      {
        site: 'east',
        member: 'east-1',
        store,
        logs: new Logs(store, this.#log),
        lanes: { deliver: () => 0 },
        ledger: new Ledger({
          metrics,
          policies: {} as GovernanceView,
          served: new ServedBy(),
          refusals: new Refusals(0, () => 0),
          now: () => 0,
        }),
        metrics,
        journal: new Journal(0),
        tracing,
        logger,
        windowBytes: WINDOW_BYTES,
        answersMax: 100,
        seen: this.#seen,
        owners: this.#owners,
        progressInterval: 1,
        hopsMax: 8,
        revisions: () => NO_REVISIONS,
        measure: () => () => undefined,
        neighbours: new Set(['west']),
        forwardDirect: () => false,
      },
      this.#there(requests, signal, connection),
      ctx,
    );
    for await (const response of responses) {
      const back = this.#back(response);
      if (!this.deaf || back.message.case !== 'accepted') yield back;
    }
  }

  async *#there(
    requests: Requests,
    signal: AbortSignal,
    connection: number,
  ): AsyncGenerator<LinkRequest> {
    for await (const init of requests) {
      if (connection < this.#opened) await this.pause;
      if (signal.aborted) return;
      if (!('message' in init)) throw new Error('a link sends no encoded messages');
      const request = overTheWire(LinkRequestSchema, init);
      if (request.message.case === 'frame') {
        const frame = request.message.value;
        this.#framed = Math.max(this.#framed, Number(frame.records.at(-1)?.position ?? 0));
        // An older sender has no frames without records, an older receiver does not see more of them.
        if (this.older === 'sender' && frame.records.length === 0) continue;
        if (this.older !== undefined) delete frame.passed;
      }
      // Neither end of before knows of logs that are restored.
      if (request.message.case === 'resume' && this.older !== undefined) {
        request.message.value.generation = 0;
      }
      yield request;
    }
  }

  #back(given: MessageInitShape<typeof LinkResponseSchema>): LinkResponse {
    const response = overTheWire(LinkResponseSchema, given);
    const { message } = response;
    if (message.case === 'accepted') {
      this.#accepted = Math.max(this.#accepted, Number(message.value.upTo));
      if (this.older !== undefined) message.value.passedUpTo = 0n;
    }
    if (message.case === 'resume' && this.older !== undefined) {
      delete message.value.passed;
      message.value.generation = 0;
      message.value.seen = [];
    }
    return response;
  }

  /** East's store but for the fault. */
  #faulty(): EventStore {
    return new Proxy(this.#east, {
      get: (target, name) => {
        if (name === 'commitCursors' && this.marksFail) {
          return () => Promise.reject(new Error('the disk is full'));
        }
        if (name === 'commitCursors' || name === 'append') {
          return async (given: never) => {
            this.#writing++;
            try {
              return await target[name](given);
            } finally {
              this.#writing--;
            }
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }
}

function overTheWire<S extends DescMessage>(schema: S, init: MessageInitShape<S>) {
  return fromBinary(schema, toBinary(schema, create(schema, init)));
}
