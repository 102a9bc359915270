import type { Secret } from '@eventmesh/config';
import { unavailable, type MeshError } from '@eventmesh/errors';
import { PeerService } from '@eventmesh/proto-gen/peer';
import { createClient, grpcTransport, type Client, type Transport } from '@eventmesh/rpc';
import { pause } from '@eventmesh/time';
import type { Directory } from '../control/directory.ts';
import type { PeerTls } from './peer-tls.ts';

export type PeerClient = Client<typeof PeerService>;

export interface Peer {
  readonly id: string;
  readonly client: PeerClient;
  /** Aborts when the emesher has left the site, be it that its lease ended. */
  readonly left: AbortSignal;
}

interface Connected extends Peer {
  readonly address: string;
  readonly transport: Transport;
  readonly leave: AbortController;
}

/** How long to wait for the registry's word of an emesher that owns something, in ms. */
const KNOWN_MS_MAX = 1000;
const KNOWN_STEP_MS = 20;

/**
 * The connections to the other emeshers of this site, under the addresses that they joined with.
 * One that has left is cut off. Without a service token there are none.
 */
export class Peers {
  readonly #directory: Directory;
  readonly #token: Secret | undefined;
  readonly #tls: PeerTls | undefined;
  readonly #connected = new Map<string, Connected>();
  readonly #forget: () => void;

  constructor(directory: Directory, token: Secret | undefined, tls: PeerTls | undefined) {
    this.#directory = directory;
    this.#token = token;
    this.#tls = tls;
    this.#forget = directory.listen({ memberLeft: (id) => this.#left(id) });
  }

  /** Whether there is a token to call the others with. */
  get callable(): boolean {
    return this.#token !== undefined;
  }

  /** All of them. */
  get all(): readonly Peer[] {
    if (this.#token === undefined) return [];
    return this.#directory.sisters.map(({ id, grpcAddress }) => this.#connect(id, grpcAddress));
  }

  /**
   * The emesher that an OWNED_ELSEWHERE error names.
   * @throws the error itself when there is no token to call it with; Unavailable.
   */
  async owner(error: MeshError): Promise<Peer> {
    const id = error.details.facts?.['member'] ?? '';
    if (this.#token === undefined) throw error;
    const end = performance.now() + KNOWN_MS_MAX;
    for (;;) {
      const member = this.#directory.sisters.find((sister) => sister.id === id);
      if (member !== undefined) return this.#connect(id, member.grpcAddress);
      if (performance.now() >= end) throw error;
      await pause(KNOWN_STEP_MS);
    }
  }

  close(): void {
    this.#forget();
    for (const id of [...this.#connected.keys()]) this.#left(id);
  }

  #connect(id: string, address: string): Connected {
    const there = this.#connected.get(id);
    if (there?.address === address) return there;
    this.#left(id);
    const authorization = `Bearer ${this.#token?.reveal() ?? ''}`;
    const transport = grpcTransport({
      address,
      metadata: () => ({ authorization }),
      timeoutMs: 5000,
      ...tlsOptions(this.#tls),
    });
    const leave = new AbortController();
    const client = createClient(PeerService, transport);
    const peer = { id, address, transport, client, leave, left: leave.signal };
    this.#connected.set(id, peer);
    return peer;
  }

  #left(id: string): void {
    const peer = this.#connected.get(id);
    if (peer === undefined) return;
    this.#connected.delete(id);
    peer.leave.abort(unavailable(`emesher ${id} has left the site`));
    peer.transport.close();
  }
}

const tlsOptions = (tls: PeerTls | undefined) => ({
  ...(tls === undefined ? {} : { tls: tls.files }),
  ...(tls?.serverName === undefined ? {} : { serverName: tls.serverName }),
});
