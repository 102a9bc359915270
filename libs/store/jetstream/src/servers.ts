import { lookup } from 'node:dns/promises';
import type { StreamInfo } from '@nats-io/jetstream';
import type { Connection } from './connection.ts';

const MONITOR_TIMEOUT_MS = 3000;
/** A replica that its leader has not heard for so long has no part in what is acknowledged. */
const SILENT_NS = 10_000_000_000;

interface Varz {
  readonly server_id?: string;
  readonly server_name?: string;
  readonly jetstream?: {
    readonly config?: { readonly sync_always?: boolean; readonly sync_interval?: number };
  };
}

/** What a server said of itself. */
interface Said {
  readonly id: string;
  readonly always: boolean;
}

/**
 * Whether each server that keeps a replica syncs before it answers, by its own word. It stays with
 * its word while its monitoring endpoint is silent, so that the class does not fall each time one of
 * three is down; a server with another setting is another process, which says so.
 */
export class Servers {
  readonly #connection: Connection;
  readonly #monitorUrls: readonly string[];
  /** By name; of those that keep a replica. */
  #said = new Map<string, Said>();

  constructor(connection: Connection, monitorUrls: readonly string[]) {
    this.#connection = connection;
    this.#monitorUrls = monitorUrls;
  }

  async syncAlways(
    streams: readonly StreamInfo[],
    evidence: string[],
    warnings: string[],
  ): Promise<boolean> {
    if (this.#monitorUrls.length === 0) {
      warnings.push(
        'A client cannot see sync_interval, so syncs are not assumed; set monitorUrls (store-gateway: ' +
          'store.monitorUrls) to the HTTP monitoring endpoint of each server, and sync_interval: ' +
          'always inside jetstream { } on each.',
      );
      return false;
    }
    const now = await this.#ask(evidence, warnings);
    const { server_id: id = '', server_name: own = '' } = this.#connection.nc.info ?? {};
    const replicas = replicasOf(streams);
    if (replicas.size === 0) replicas.set(own, true);
    const known = new Map([...this.#said, ...now]);
    this.#said = new Map([...known].filter(([name]) => replicas.has(name)));
    if (now.size > 0 && ![...known.values()].some((said) => said.id === id)) {
      warnings.push(
        `None of monitorUrls belongs to server "${own}", which the store is connected to.`,
      );
      return false;
    }
    for (const [name, { always }] of this.#said) {
      if (!always && !now.has(name)) {
        warnings.push(`Server "${name}" did not sync every write when it was last seen.`);
      }
    }
    const unseen = [...replicas].filter(([name]) => !known.has(name));
    const heard = unseen.flatMap(([name, alive]) => (alive ? [`"${name}"`] : []));
    if (heard.length > 0) {
      warnings.push(
        `None of monitorUrls shows server ${heard.join(', ')}, where replicas are; each of them ` +
          'has to be seen once.',
      );
      return false;
    }
    for (const [name] of unseen) {
      evidence.push(`Server "${name}" is down: nothing that is acknowledged now depends on it.`);
    }
    return [...this.#said, ...now].every(([, { always }]) => always);
  }

  async #ask(evidence: string[], warnings: string[]): Promise<Map<string, Said>> {
    const now = new Map<string, Said>();
    const urls = (await Promise.all(this.#monitorUrls.map(eachAddress))).flat();
    const answers = await Promise.all(urls.map((url) => readVarz(url, warnings)));
    for (const [index, varz] of answers.entries()) {
      const { server_id: id, server_name: name = '' } = varz ?? {};
      if (id === undefined) continue;
      const always = varz?.jetstream?.config?.sync_always === true;
      now.set(name, { id, always });
      const where = `"${name}" (${urls[index]})`;
      evidence.push(
        `Server ${where} says that it ` +
          (always
            ? 'syncs every write before it answers (sync_always).'
            : 'does not sync every write.'),
      );
      if (!always) {
        warnings.push(
          `Server ${where} acknowledges what it has not synced, and a power cut loses it; ` +
            'set sync_interval: always inside jetstream { } in its configuration.',
        );
      }
    }
    return now;
  }
}

/** The names of the servers that keep the streams, and whether one of their leaders hears them. */
function replicasOf(streams: readonly StreamInfo[]): Map<string, boolean> {
  const found = new Map<string, boolean>();
  for (const { cluster } of streams) {
    if (cluster?.leader !== undefined && cluster.leader !== '') found.set(cluster.leader, true);
    for (const { name, offline, active } of cluster?.replicas ?? []) {
      const heard = !offline && active < SILENT_NS;
      found.set(name, heard || found.get(name) === true);
    }
  }
  return found;
}

/** One name may stand for all servers of a cluster (a headless service): each address is asked. */
async function eachAddress(url: string): Promise<string[]> {
  const { protocol, hostname, port, pathname } = new URL(url);
  // A certificate is for the name, not for an address.
  if (protocol !== 'http:') return [url];
  try {
    const addresses = await lookup(hostname.replace(/^\[|\]$/g, ''), { all: true });
    return addresses.map(({ address, family }) => {
      const host = family === 6 ? `[${address}]` : address;
      return `http://${host}${port === '' ? '' : `:${port}`}${pathname.replace(/\/$/, '')}`;
    });
  } catch {
    return [url]; // Reading it fails too, and says so.
  }
}

async function readVarz(url: string, warnings: string[]): Promise<Varz | undefined> {
  try {
    const response = await fetch(`${url.replace(/\/$/, '')}/varz`, {
      signal: AbortSignal.timeout(MONITOR_TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return (await response.json()) as Varz;
  } catch (error) {
    const why = error instanceof Error ? error.message : 'failed';
    warnings.push(`The monitoring endpoint ${url} cannot be read (${why}).`);
    return undefined;
  }
}
