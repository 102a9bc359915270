import { MeshError, invalid } from '@eventmesh/errors';
import { grpcTransport, type Transport } from '@eventmesh/rpc';
import { MeshClient } from '@eventmesh/sdk';
import {
  findContextFile,
  readContextFile,
  type ContextFile,
  type SiteAddresses,
} from './context-file.ts';
import { HttpClient } from './http-client.ts';

/** The flags and variables that say where the mesh is and who calls. */
export interface ConnectionOptions {
  readonly server?: string;
  readonly grpc?: string;
  readonly site?: string;
  readonly context?: string;
  readonly user?: string;
  readonly apiKey?: string;
  readonly as?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export type Credential =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'api-key'; readonly apiKey: string }
  | { readonly kind: 'none' };

const START = 'start one with `mesh dev`, or name one with --server and --grpc';

/** Where a command connects to; made from flags, then the environment, then the context file. */
export class Connection {
  readonly credential: Credential;
  readonly #addresses: Partial<SiteAddresses>;
  readonly #open: { close(): void }[] = [];
  readonly contextFile: ContextFile | undefined;

  constructor(options: ConnectionOptions, env: Environment, folder: string) {
    const server = options.server ?? env['MESH_SERVER'];
    const grpc = options.grpc ?? env['MESH_GRPC'];
    const path = options.context ?? env['MESH_CONTEXT'] ?? findContextFile(folder);
    this.contextFile = path === undefined ? undefined : readContextFile(path);
    const site = siteOf(this.contextFile, options.site, path);
    // A named server is somebody else's mesh: the rest of the local one would only mislead.
    const local = server === undefined && grpc === undefined ? site : {};
    this.#addresses = {
      ...local,
      ...(server === undefined ? {} : { http: server }),
      ...(grpc === undefined ? {} : { grpc }),
    };
    this.credential = credentialOf(options, env, this.contextFile);
  }

  get authorization(): string | undefined {
    const { credential } = this;
    if (credential.kind === 'api-key') return `Bearer ${credential.apiKey}`;
    if (credential.kind === 'none') return undefined;
    return `Basic ${Buffer.from(`${credential.user}:${credential.password}`).toString('base64')}`;
  }

  get addresses(): Partial<SiteAddresses> {
    return this.#addresses;
  }

  /** The JSON management surface. */
  http(): HttpClient {
    const base = this.#addresses.http;
    if (base === undefined) {
      throw invalid('--server', `the address of a mesh is not known; ${START}`);
    }
    if (!/^https?:$/.test(URL.parse(base)?.protocol ?? '')) {
      throw invalid('--server', `"${base}" is not a URL such as http://127.0.0.1:8080`);
    }
    return new HttpClient(base, this.authorization);
  }

  /** Publishing and subscribing. */
  client(): MeshClient {
    const { credential } = this;
    const client = new MeshClient({
      address: this.#grpcAddress('grpc'),
      ...(credential.kind === 'password'
        ? { user: credential.user, password: credential.password }
        : credential.kind === 'api-key'
          ? { apiKey: credential.apiKey }
          : {}),
    });
    this.#open.push(client);
    return client;
  }

  /** Administration of acl or governance, or any other service of the emesher's server. */
  transport(service: 'acl' | 'governance' | 'grpc'): Transport {
    const { authorization } = this;
    const transport = grpcTransport({
      address: this.#grpcAddress(service),
      ...(authorization === undefined ? {} : { metadata: () => ({ authorization }) }),
    });
    this.#open.push(transport);
    return transport;
  }

  close(): void {
    for (const open of this.#open.splice(0)) open.close();
  }

  #grpcAddress(service: 'acl' | 'governance' | 'grpc'): string {
    const address = this.#addresses[service] ?? this.#addresses.grpc;
    if (address === undefined) {
      throw invalid('--grpc', `the gRPC address of a mesh is not known; ${START}`);
    }
    return address;
  }
}

function siteOf(
  context: ContextFile | undefined,
  wanted: string | undefined,
  path: string | undefined,
): Partial<SiteAddresses> {
  if (context === undefined) {
    if (wanted === undefined) return {};
    throw new MeshError('NotFound', `--site ${wanted}: no mesh is known here; ${START}`);
  }
  const found = context.sites[wanted ?? context.defaultSite];
  if (found !== undefined) return found;
  const known = Object.keys(context.sites).join(', ');
  throw new MeshError('NotFound', `--site ${wanted}: ${path} knows the sites ${known}`);
}

function credentialOf(
  options: ConnectionOptions,
  env: Environment,
  context: ContextFile | undefined,
): Credential {
  const apiKey = options.apiKey ?? (options.user === undefined ? env['MESH_API_KEY'] : undefined);
  if (options.user !== undefined && options.apiKey !== undefined) {
    throw invalid('--api-key', 'give either --user or --api-key');
  }
  if (apiKey !== undefined) return { kind: 'api-key', apiKey };
  const user = options.user ?? env['MESH_USER'];
  if (user !== undefined) return passwordOf(user, context);
  const [first] = Object.keys(context?.users ?? {});
  const name = options.as ?? first;
  if (name === undefined) return { kind: 'none' };
  return passwordOf(name, context);
}

/** `name:password`, or a name that the context file knows the password of. */
function passwordOf(text: string, context: ContextFile | undefined): Credential {
  const colon = text.indexOf(':');
  if (colon > 0) {
    return { kind: 'password', user: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  const password = context?.users[text];
  if (password !== undefined) return { kind: 'password', user: text, password };
  const known = Object.keys(context?.users ?? {});
  const hint = known.length === 0 ? '' : `, or name one of ${known.join(', ')}`;
  throw invalid('--user', `write it as name:password${hint}`);
}
