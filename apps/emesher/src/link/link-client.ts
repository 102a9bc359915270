import type { Secret } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { LinkService } from '@eventmesh/proto-gen/link';
import {
  createClient,
  grpcTransport,
  type Client,
  type TlsFiles,
  type Transport,
} from '@eventmesh/rpc';

export interface Neighbour {
  readonly site: string;
  /** host:port of its emesher. */
  readonly address: string;
  readonly tls?: TlsFiles;
}

/** The connection to the emesher of a neighbouring site. */
export class LinkClient {
  readonly neighbour: Neighbour;
  readonly #connect: () => Transport;
  #transport: Transport;
  #client: Client<typeof LinkService>;

  constructor(neighbour: Neighbour, token: Secret | undefined) {
    if (token === undefined) {
      throw new MeshError('InvalidArgument', 'linkToken: links need it', { field: 'linkToken' });
    }
    this.neighbour = neighbour;
    this.#connect = () =>
      grpcTransport({
        address: neighbour.address,
        metadata: () => ({ authorization: `Bearer ${token.reveal()}` }),
        ...(neighbour.tls === undefined ? {} : { tls: neighbour.tls }),
      });
    this.#transport = this.#connect();
    this.#client = createClient(LinkService, this.#transport);
  }

  get client(): Client<typeof LinkService> {
    return this.#client;
  }

  /** Gives the connection up; the next call dials. Left alone, gRPC would dial at a pace of its own. */
  hangUp(): void {
    this.#transport.close();
    this.#transport = this.#connect();
    this.#client = createClient(LinkService, this.#transport);
  }

  close(): void {
    this.#transport.close();
  }
}
