import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import {
  AcknowledgementsSchema,
  AdvertisementsSchema,
  type Acknowledgement,
  type Advertisement,
  type ExchangeRequest,
  type ExchangeRequestSchema,
} from '@eventmesh/proto-gen/registry';
import { AsyncQueue } from '@eventmesh/rpc';
import { advertisementBytes } from './advertisement-size.ts';
import { isNewer } from './advertiser.ts';
import type { LinkState } from './link-state.ts';
import { REGISTRY_METRICS } from './metrics.ts';
import type { Parts } from './parts.ts';
import { includes } from './versions.ts';

/** Requests and responses of an exchange carry the same messages. */
export type PeerMessage = ExchangeRequest['message'];
export interface PeerOutput {
  readonly message: NonNullable<MessageInitShape<typeof ExchangeRequestSchema>['message']>;
}

/** Bytes of advertisements in one message, and acknowledgements in one message, at most. */
const BATCH_BYTES = 1024 * 1024;
const BATCH_ACKNOWLEDGEMENTS = 1000;

export interface SessionOptions {
  readonly pingMs: number;
  readonly deadAfterMs: number;
  /** Messages waiting to be sent until the neighbour counts as stuck. */
  readonly queueMax: number;
}

/**
 * One exchange with a neighbour after the hellos, the same on both sides: first the whole database,
 * then whatever is new to the other side. A session remembers what the neighbour has sent or been
 * sent and never tells it again: that is the split horizon, and what ends the flood.
 */
export class PeerSession {
  /** What to send; ends when the session ends. */
  readonly output = new AsyncQueue<PeerOutput>();
  readonly ended: Promise<void>;
  readonly #parts: Parts;
  readonly #linkState: LinkState;
  readonly #options: SessionOptions;
  readonly #advertisements = new Map<string, Advertisement>();
  readonly #acknowledgements = new Map<string, Acknowledgement>();
  #lastHeardMs: number;
  #nonce = 0n;
  #cancelPing: () => void = () => undefined;
  #stopListening: () => void = () => undefined;
  readonly #unmeasure: () => void;
  #isEnded = false;
  #neighbour = '';
  #isSynced = false;
  #onSynced: () => void = () => undefined;
  #resolveEnded: (error?: MeshError) => void = () => undefined;

  constructor(parts: Parts, linkState: LinkState, options: SessionOptions) {
    this.#parts = parts;
    this.#linkState = linkState;
    this.#options = options;
    this.#lastHeardMs = parts.clock.now();
    this.#unmeasure = parts.measure(REGISTRY_METRICS.exchangeWaiting, () => this.output.size);
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Whoever does not ask how it ended must not be ended by it.
    this.ended.catch(() => undefined);
  }

  /**
   * Sends the database and begins to follow; call it once both hellos are through.
   *
   * @param onSynced called once when the neighbour's own advertisement is in the control state. Only
   *   then may the link be told up: its advertisement from before the link went down still says up,
   *   and routes would come, go and come again.
   */
  start(neighbour: string, onSynced: () => void): void {
    this.#neighbour = neighbour;
    this.#onSynced = onSynced;
    const { state } = this.#parts;
    this.#tell(
      [...state.maps.advertisements.values()].map(({ value }) => value),
      [...state.maps.acknowledgements.values()].flatMap(({ value }) => value.acknowledgements),
    );
    this.#stopListening = state.onChange((changes) => {
      const advertisements: Advertisement[] = [];
      const acknowledgements: Acknowledgement[] = [];
      for (const { area, current } of changes) {
        if (current === undefined) continue;
        if (area === 'advertisements') advertisements.push(current);
        if (area === 'acknowledgements') acknowledgements.push(...current.acknowledgements);
      }
      this.#tell(advertisements, acknowledgements);
    });
    this.#ping();
  }

  /** Takes in a message from the neighbour. */
  receive(message: PeerMessage): void {
    if (this.#isEnded) return;
    this.#lastHeardMs = this.#parts.clock.now();
    if (message.case === 'advertisements') {
      const { advertisements } = message.value;
      for (const advertisement of advertisements) {
        const known = this.#advertisements.get(advertisement.site);
        if (known === undefined || isNewer(advertisement, known)) {
          this.#advertisements.set(advertisement.site, advertisement);
        }
      }
      this.#linkState.advertised(advertisements);
      this.#tellNewer(advertisements);
      if (advertisements.some(({ site }) => site === this.#neighbour)) this.#sync();
    } else if (message.case === 'acknowledgements') {
      const { acknowledgements } = message.value;
      for (const ack of acknowledgements) this.#remember(ack);
      this.#linkState.acknowledged(acknowledgements);
    } else if (message.case === 'hello') {
      this.end(new MeshError('InvalidArgument', 'hello comes once, as the first message'));
    }
  }

  /** Ends the session; with an error when it failed. May be called twice. */
  end(error?: MeshError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cancelPing();
    this.#stopListening();
    this.#unmeasure();
    this.output.end(error);
    this.#resolveEnded(error);
  }

  #sync(): void {
    if (this.#isSynced) return;
    this.#isSynced = true;
    this.#linkState.written().then(
      () => {
        if (!this.#isEnded) this.#onSynced();
      },
      (error: unknown) => this.end(MeshError.from(error)),
    );
  }

  /** A neighbour that sent something old, after a restore perhaps, is told what we have. */
  #tellNewer(received: readonly Advertisement[]): void {
    const { advertisements } = this.#parts.state.maps;
    const ours = received
      .map(({ site }) => advertisements.get(site)?.value)
      .filter((advertisement) => advertisement !== undefined);
    this.#tell(ours, []);
  }

  #tell(advertisements: readonly Advertisement[], acks: readonly Acknowledgement[]): void {
    let batch: Advertisement[] = [];
    let bytes = 0;
    const flush = () => {
      if (batch.length === 0) return;
      const value = create(AdvertisementsSchema, { advertisements: batch });
      this.#send({ message: { case: 'advertisements', value } });
      batch = [];
      bytes = 0;
    };
    for (const advertisement of advertisements) {
      const known = this.#advertisements.get(advertisement.site);
      if (known !== undefined && !isNewer(advertisement, known)) continue;
      this.#advertisements.set(advertisement.site, advertisement);
      bytes += advertisementBytes(advertisement);
      batch.push(advertisement);
      if (bytes > BATCH_BYTES) flush();
    }
    flush();
    const news = acks.filter((ack) => this.#remember(ack));
    for (let from = 0; from < news.length; from += BATCH_ACKNOWLEDGEMENTS) {
      const acknowledgements = news.slice(from, from + BATCH_ACKNOWLEDGEMENTS);
      const value = create(AcknowledgementsSchema, { acknowledgements });
      this.#send({ message: { case: 'acknowledgements', value } });
    }
  }

  /** Returns whether it was new between the two. */
  #remember(ack: Acknowledgement): boolean {
    const at = `${ack.site} ${ack.ofSite}`;
    if (includes(this.#acknowledgements.get(at), ack)) return false;
    this.#acknowledgements.set(at, ack);
    return true;
  }

  #ping(): void {
    const { clock } = this.#parts;
    const silentMs = clock.now() - this.#lastHeardMs;
    if (silentMs > this.#options.deadAfterMs) {
      this.end(new MeshError('Unavailable', `the neighbour was silent for ${silentMs} ms`));
      return;
    }
    this.#nonce += 1n;
    this.#send({ message: { case: 'ping', value: { nonce: this.#nonce } } });
    this.#cancelPing = clock.setTimer(this.#options.pingMs, () => this.#ping());
  }

  #send(message: PeerOutput): void {
    if (this.output.size >= this.#options.queueMax) {
      this.end(new MeshError('Unavailable', 'the neighbour does not read what it is sent'));
      return;
    }
    this.output.push(message);
  }
}
