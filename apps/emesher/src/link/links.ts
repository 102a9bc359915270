import { pause } from '@eventmesh/time';
import type { Directory } from '../control/directory.ts';
import { MeshError } from '@eventmesh/errors';
import { LinkBooks } from './link-books.ts';
import type { LinkClient } from './link-client.ts';
import { isLinkFenced } from './link-owners.ts';
import { Reconnects } from './reconnects.ts';
import { LinkSender, type SenderDeps } from './sender.ts';

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
  /** Neighbours whose links are this emesher's, open or not. */
  readonly #owned = new Set<string>();
  readonly #books = new Map<string, LinkBooks>();
  readonly #running: Promise<void>[] = [];

  constructor(clients: ReadonlyMap<string, LinkClient>, deps: SenderDeps, directory: Directory) {
    this.clients = clients;
    this.#deps = deps;
    this.#directory = directory;
    directory.listen({ ownershipLost: (owned) => this.#leave(owned) });
  }

  start(): void {
    for (const link of this.clients.values()) this.#running.push(this.#keep(link));
  }

  /**
   * Hands a direct record to the links behind which its destinations lie; counted where there is no
   * way, or the link is this emesher's and down. Answers the destinations whose link is another's.
   */
  sendDirect(record: Buffer, destinations: readonly string[]): readonly string[] {
    const { direct } = this.#deps.metrics;
    const byHop = new Map<string, string[]>();
    for (const site of destinations) {
      const hop = this.#directory.nextHop(site);
      if (hop === undefined) {
        direct.inc({ outcome: 'no-route' });
        continue;
      }
      const behind = byHop.get(hop) ?? [];
      behind.push(site);
      byHop.set(hop, behind);
    }
    const left: string[] = [];
    for (const [hop, behind] of byHop) {
      const sender = this.#senders.get(hop);
      if (sender !== undefined) sender.sendDirect(record, behind);
      else if (this.#owned.has(hop)) direct.inc({ outcome: 'link-dropped' });
      else left.push(...behind);
    }
    return left;
  }

  /** Messages that wait to be sent over the slowest link. */
  get waiting(): number {
    return Math.max(0, ...[...this.#senders.values()].map(({ waiting }) => waiting));
  }

  /** Bytes that the fullest partition of the slowest link has gathered. */
  get gatheredBytes(): number {
    return Math.max(0, ...[...this.#senders.values()].map(({ gatheredBytes }) => gatheredBytes));
  }

  /** Whether the link to a neighbour is open from here, and has a position on its way. */
  place(to: string, tenant: string, partition: number, position: number) {
    const up = this.#senders.get(to)?.up ?? false;
    const held = this.#books.get(to)?.lane(tenant, partition).holds(position) ?? false;
    return { up, held };
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
    for (const client of this.clients.values()) client.close();
  }

  /** Another emesher may own the link by now. */
  #leave(owned: string): void {
    for (const site of this.clients.keys()) {
      if (owned !== ownershipName(site)) continue;
      this.#owned.delete(site);
      const error = new MeshError('Unavailable', 'the lease that owns the link has ended');
      this.#senders.get(site)?.leave(error);
    }
  }

  async #keep(link: LinkClient): Promise<void> {
    const { site } = link.neighbour;
    const books = new LinkBooks(site, this.#deps.metrics);
    this.#books.set(site, books);
    const { signal } = this.#stop;
    const owned = ownershipName(site);
    let epochMin = 0;
    const reconnects = new Reconnects(Math.random);
    while (!signal.aborted) {
      let sender: LinkSender | undefined;
      try {
        const epoch = Math.max(await this.#directory.acquire(owned), epochMin);
        this.#owned.add(site);
        sender = new LinkSender(link, this.#deps, books, epoch);
        this.#senders.set(site, sender);
        await sender.run(signal);
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (error.reason === 'OWNED_ELSEWHERE') {
          this.#owned.delete(site);
          books.handOver();
        }
        // Whoever owns the link though the neighbour knows of a later epoch is of a registry that was
        // brought back from a copy: it goes on above that, as soon as the registry has said so again.
        if (isLinkFenced(error)) {
          epochMin = Math.max(epochMin, Number(error.details.facts?.['epoch'] ?? 0) + 1);
        }
        if (!signal.aborted) this.#down(site, error);
      } finally {
        this.#senders.delete(site);
      }
      if (signal.aborted) break;
      if (sender !== undefined) link.hangUp();
      const attempt = { dialled: sender !== undefined, upMs: sender?.upMs ?? 0 };
      await pause(reconnects.pauseAfter(attempt), signal);
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

const ownershipName = (site: string): string => `link/${site}`;
