import type { Secret } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { PeerService, type ExchangeRequest } from '@eventmesh/proto-gen/registry';
import {
  createClient,
  grpcTransport,
  type CallContext,
  type ServiceImpl,
  type TlsFiles,
} from '@eventmesh/rpc';
import { Backoff, pause } from '@eventmesh/time';
import type { LinkState } from './link-state.ts';
import type { Parts } from './parts.ts';
import {
  PeerSession,
  type PeerMessage,
  type PeerOutput,
  type SessionOptions,
} from './peer-session.ts';
import type { ReplicaLinks } from './replica-links.ts';

export interface Neighbour {
  readonly site: string;
  /** host:port of its registry; undefined: it calls us. */
  readonly address: string | undefined;
  readonly cost: number;
  readonly tls: TlsFiles | undefined;
}

export interface PeersOptions extends SessionOptions {
  readonly neighbours: readonly Neighbour[];
  readonly linkToken: Secret | undefined;
  readonly reconnectMaxMs: number;
}

type Direction = 'in' | 'out';

/**
 * The exchanges with neighbouring registries. Each side calls the other when it has its address, so
 * that one way through suffices; a link is up while at least one exchange lives.
 */
export class Peers {
  readonly #parts: Parts;
  readonly #linkState: LinkState;
  readonly #links: ReplicaLinks;
  readonly #options: PeersOptions;
  readonly #closing = new AbortController();
  #callers: Promise<void>[] = [];

  constructor(parts: Parts, linkState: LinkState, links: ReplicaLinks, options: PeersOptions) {
    this.#parts = parts;
    this.#linkState = linkState;
    this.#links = links;
    this.#options = options;
  }

  start(): void {
    this.#callers = this.#options.neighbours
      .filter(({ address }) => address !== undefined)
      .map((neighbour) => this.#keepCalling(neighbour));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#callers);
  }

  get service(): ServiceImpl<typeof PeerService> {
    return { exchange: (requests, ctx) => this.#answer(requests, ctx) };
  }

  /** Neighbours in the configuration that no replica of this site exchanges with. */
  get down(): string[] {
    const up = new Set(
      [...this.#parts.state.maps.links.keys()].map((at) => at.slice(0, at.indexOf('/'))),
    );
    return this.#options.neighbours.map(({ site }) => site).filter((site) => !up.has(site));
  }

  async #keepCalling(neighbour: Neighbour): Promise<void> {
    const { clock, log } = this.#parts;
    const { signal } = this.#closing;
    const backoff = new Backoff({ baseMs: 100, maxMs: this.#options.reconnectMaxMs });
    while (!signal.aborted) {
      try {
        await this.#call(neighbour, () => backoff.reset());
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (signal.aborted) return;
        this.#count(neighbour.site, 'out', 'failed');
        log.info(
          { neighbour: neighbour.site, code: error.code, reason: error.message },
          'the exchange with a neighbour failed; trying again',
        );
      }
      await pause(backoff.nextMs(), signal, clock);
    }
  }

  /** One exchange that we open; resolves when it ends in order, throws when it fails. */
  async #call(neighbour: Neighbour, onOpen: () => void): Promise<void> {
    const { linkToken } = this.#options;
    const transport = grpcTransport({
      address: neighbour.address ?? '',
      ...(neighbour.tls === undefined ? {} : { tls: neighbour.tls }),
      metadata: () =>
        linkToken === undefined ? {} : { authorization: `Bearer ${linkToken.reveal()}` },
    });
    const session = new PeerSession(this.#parts, this.#linkState, this.#options);
    const over = new AbortController();
    const stop = () => session.end();
    this.#closing.signal.addEventListener('abort', stop, { once: true });
    session.ended.then(
      () => over.abort(),
      (error: unknown) => over.abort(error),
    );
    // A neighbour that answers nothing must not hold the only caller.
    const cancelTimeout = this.#parts.clock.setTimer(this.#options.deadAfterMs, () =>
      session.end(new MeshError('Unavailable', 'the neighbour did not answer the hello in time')),
    );
    let close: () => void = () => undefined;
    try {
      session.output.push(this.#hello(neighbour.site));
      const stream = createClient(PeerService, transport).exchange(session.output, {
        signal: over.signal,
      });
      let open = false;
      for await (const { message } of stream) {
        if (open) session.receive(message);
        else {
          this.#checkHello(message, neighbour.site);
          cancelTimeout();
          onOpen();
          close = this.#open(neighbour.site, 'out', session);
          open = true;
        }
      }
      session.end();
    } catch (error) {
      // What ended the session is the cause; the cancelled call is only its echo.
      session.end(MeshError.from(error));
    } finally {
      cancelTimeout();
      this.#closing.signal.removeEventListener('abort', stop);
      close();
      transport.close();
    }
    await session.ended;
  }

  /** One exchange that a neighbour opens. */
  async *#answer(
    requests: AsyncIterable<ExchangeRequest>,
    ctx: CallContext,
  ): AsyncGenerator<PeerOutput> {
    const incoming = requests[Symbol.asyncIterator]();
    const first = await this.#inTime(incoming.next());
    const site = this.#checkCaller(first.done === true ? undefined : first.value.message);
    const session = new PeerSession(this.#parts, this.#linkState, this.#options);
    const stop = () => session.end();
    const signal = AbortSignal.any([ctx.signal, ctx.draining, this.#closing.signal]);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    void receiveAll(incoming, session);
    session.output.push(this.#hello(site));
    const close = this.#open(site, 'in', session);
    try {
      yield* session.output;
    } finally {
      signal.removeEventListener('abort', stop);
      session.end();
      close();
    }
  }

  /** A caller that says nothing must not hold a stream. */
  async #inTime<T>(promise: Promise<T>): Promise<T> {
    let cancelTimeout: () => void = () => undefined;
    const late = new Promise<never>((_, reject) => {
      cancelTimeout = this.#parts.clock.setTimer(this.#options.deadAfterMs, () => {
        reject(new MeshError('DeadlineExceeded', 'hello did not come in time', { field: 'hello' }));
      });
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      cancelTimeout();
    }
  }

  /** The hello of a caller must name a neighbour of ours, and us. */
  #checkCaller(message: PeerMessage | undefined): string {
    const { neighbours } = this.#options;
    if (message?.case !== 'hello') {
      throw new MeshError('InvalidArgument', 'the first message must be hello', { field: 'hello' });
    }
    const { site, toSite } = message.value;
    const known = neighbours.some((neighbour) => neighbour.site === site);
    if (!known || toSite !== this.#parts.site) {
      this.#count(known ? site : 'unknown', 'in', 'refused');
      throw known
        ? new MeshError('InvalidArgument', `this is site "${this.#parts.site}", not "${toSite}"`, {
            field: 'hello.to_site',
          })
        : new MeshError(
            'PermissionDenied',
            'the site is not a neighbour in the configuration here',
            {
              field: 'hello.site',
            },
          );
    }
    return site;
  }

  #checkHello(message: PeerMessage, site: string): void {
    if (message.case === 'hello' && message.value.site === site) return;
    const is = message.case === 'hello' ? `site "${message.value.site}"` : 'no registry of a site';
    throw new MeshError(
      'FailedPrecondition',
      `"${site}" was expected at its address, there is ${is}`,
    );
  }

  #open(site: string, direction: Direction, session: PeerSession): () => void {
    this.#count(site, direction, 'opened');
    let closed: () => void = () => undefined;
    session.start(site, () => {
      closed = this.#links.opened(site);
      this.#parts.log.info({ neighbour: site, direction }, 'the link to a neighbour is up');
    });
    return () => {
      closed();
      this.#count(site, direction, 'closed');
      this.#parts.log.info({ neighbour: site, direction }, 'the exchange has ended');
    };
  }

  #hello(toSite: string): PeerOutput {
    return { message: { case: 'hello', value: { site: this.#parts.site, toSite } } };
  }

  #count(neighbour: string, direction: Direction, outcome: string): void {
    this.#parts.metrics.exchanges.inc({ neighbour, direction, outcome });
  }
}

/** Feeds a session until the caller's side ends; never rejects. */
async function receiveAll(
  incoming: AsyncIterator<ExchangeRequest>,
  session: PeerSession,
): Promise<void> {
  try {
    for (;;) {
      const next = await incoming.next();
      if (next.done === true) break;
      session.receive(next.value.message);
    }
    session.end();
  } catch (error) {
    session.end(MeshError.from(error));
  }
}
