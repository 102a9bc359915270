import type { SilentEmesher } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';
import type { Directory } from '../control/directory.ts';
import type { Peer, PeerClient, Peers } from './peers.ts';

export interface RoundDeps {
  readonly site: string;
  /** This emesher's own id. */
  readonly member: string;
  readonly directory: { readonly sisters: readonly Pick<Directory['sisters'][number], 'id'>[] };
  readonly peers: Pick<Peers, 'all' | 'callable'>;
  readonly logger: Logger;
}

/**
 * An emesher that does not answer in this time is left out, in ms; short, since a neighbouring site
 * may be waiting for the whole.
 */
const ASK_MS_MAX = 1000;
/** Emeshers of the site that are asked; the others are named as not asked. */
const PEERS_MAX = 64;

/** What was answered, and by whom; an older version does not say. */
interface Answered<T> {
  readonly member: string;
  readonly answer: T;
}

type Options = { readonly timeoutMs: number; readonly signal: AbortSignal };

/** Questions to all other emeshers of the site; who falls silent is named, and not asked again. */
export class PeerRound {
  readonly #deps: RoundDeps;
  #asked: readonly Peer[];
  readonly #silent = new Map<string, string>();

  constructor(deps: RoundDeps) {
    this.#deps = deps;
    const { peers, directory } = deps;
    this.#asked = peers.all.slice(0, PEERS_MAX);
    for (const { id } of directory.sisters) {
      if (this.#asked.some((peer) => peer.id === id)) continue;
      const why = peers.callable
        ? `a site asks at most ${PEERS_MAX} of its emeshers`
        : 'this emesher has no service token to ask it with';
      this.#silent.set(id, why);
    }
  }

  /** By emesher, in the order of their ids; why each is not, or not wholly, in the answers. */
  get silent(): readonly SilentEmesher[] {
    const { site } = this.#deps;
    return [...this.#silent]
      .map(([emesher, reason]) => ({ site, emesher, reason }))
      .sort((a, b) => (a.emesher < b.emesher ? -1 : 1));
  }

  /** Something is missing in what an emesher has told. */
  note(emesher: string, reason: string): void {
    this.#silent.set(emesher, reason);
  }

  /** The answers of those that answer, with who they are. */
  async ask<T>(
    question: (client: PeerClient, options: Options) => Promise<Answered<T>>,
  ): Promise<(readonly [emesher: string, answer: T])[]> {
    const asked = this.#asked;
    const results = await Promise.allSettled(
      asked.map(({ client, left }) => question(client, { timeoutMs: ASK_MS_MAX, signal: left })),
    );
    const answers: (readonly [string, T])[] = [];
    const talking: Peer[] = [];
    for (const [index, peer] of asked.entries()) {
      const result = results[index];
      if (result?.status !== 'fulfilled') {
        this.#missed(peer, MeshError.from(result?.reason));
        continue;
      }
      const { member, answer } = result.value;
      // One that has begun again answers for its former self, whose lease has not ended yet.
      if (member !== '' && member !== peer.id) {
        this.#silent.set(peer.id, `it has gone: ${member} answers at its address`);
        continue;
      }
      answers.push([peer.id, answer]);
      talking.push(peer);
    }
    this.#asked = talking;
    return answers;
  }

  #missed({ id, left }: Peer, { code, message }: MeshError): void {
    this.#deps.logger.debug({ emesher: id, code, reason: message }, 'an emesher was not heard');
    const reason = `it did not answer: ${code}: ${message}`;
    this.#silent.set(id, left.aborted ? 'it left the site while it was asked' : reason);
  }
}
