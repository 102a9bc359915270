import type { Directory } from '../control/directory.ts';
import { MeshError } from '@eventmesh/errors';
import type { LinkClient } from './link-client.ts';
import { LinkSender, type SenderDeps } from './sender.ts';

/** Longest pause between attempts, in ms; each is jittered, so that neighbours do not reconnect together. */
const PAUSE_MS_MAX = 2000;

/**
 * The outgoing half of this site's links. Of the site's emeshers one owns each link, by the
 * registry's lease; the others stand by.
 */
export class Links {
  readonly clients: ReadonlyMap<string, LinkClient>;
  readonly #deps: SenderDeps;
  readonly #directory: Directory;
  readonly #stop = new AbortController();
  readonly #senders = new Map<string, LinkSender>();
  readonly #running: Promise<void>[] = [];

  constructor(clients: ReadonlyMap<string, LinkClient>, deps: SenderDeps, directory: Directory) {
    this.clients = clients;
    this.#deps = deps;
    this.#directory = directory;
  }

  start(): void {
    for (const link of this.clients.values()) this.#running.push(this.#keep(link));
  }

  /** Hands a direct record to the links behind which its destinations lie; answers what went. */
  sendDirect(record: Buffer, destinations: readonly string[]): void {
    const byHop = new Map<string, string[]>();
    for (const site of destinations) {
      const hop = this.#directory.nextHop(site);
      if (hop === undefined) continue;
      const behind = byHop.get(hop) ?? [];
      behind.push(site);
      byHop.set(hop, behind);
    }
    for (const [hop, behind] of byHop) {
      const sent = this.#senders.get(hop)?.sendDirect(record, behind) ?? false;
      this.#deps.ledger.metrics.direct.inc({ outcome: sent ? 'forwarded' : 'link-dropped' });
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
    for (const client of this.clients.values()) client.close();
  }

  async #keep(link: LinkClient): Promise<void> {
    const { site } = link.neighbour;
    const { signal } = this.#stop;
    const owned = `link/${site}`;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const started = Date.now();
      try {
        await this.#directory.acquire(owned);
        const sender = new LinkSender(link, this.#deps);
        this.#senders.set(site, sender);
        await sender.run(signal);
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (!signal.aborted) this.#down(site, error);
      } finally {
        this.#senders.delete(site);
      }
      if (Date.now() - started > 10_000) attempt = 0;
      await rest(Math.min(PAUSE_MS_MAX, 100 * 2 ** attempt) * (0.5 + Math.random() / 2), signal);
    }
    await this.#directory.release(owned);
  }

  /** That another emesher of this site has the link is how it should be. */
  #down(site: string, error: MeshError): void {
    const { logger } = this.#deps;
    const facts = { to: site, code: error.code };
    if (error.reason === 'OWNED_ELSEWHERE') logger.debug(facts, 'standing by for the link');
    else logger.warn(facts, `link down: ${error.message}`);
  }
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
