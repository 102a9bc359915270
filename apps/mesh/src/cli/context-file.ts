import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { MeshError, invalid } from '@eventmesh/errors';

/** Where one site listens. */
export interface SiteAddresses {
  /** Base URL of the HTTP API. */
  readonly http: string;
  /** `host:port` for publishing and subscribing over gRPC. */
  readonly grpc: string;
  /** `host:port` of acl and governance, when not the same server. */
  readonly acl?: string;
  readonly governance?: string;
  /** Base URL of /metrics, /livez and /readyz. */
  readonly admin?: string;
}

/** What `mesh dev` leaves for the other commands, so that they need no flags. */
export interface ContextFile {
  readonly version: 1;
  readonly defaultSite: string;
  readonly sites: Readonly<Record<string, SiteAddresses>>;
  /** The first one is used when `--as` names none. */
  readonly users: Readonly<Record<string, string>>;
}

export const CONTEXT_PATH = join('.mesh', 'context.json');

/** The context file of this folder or of the nearest one above it. */
export function findContextFile(from: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const path = join(folder, CONTEXT_PATH);
    if (existsSync(path)) return path;
    if (dirname(folder) === folder) return undefined;
  }
}

/** @throws MeshError naming the file: NotFound when it is not there, else InvalidArgument. */
export function readContextFile(path: string): ContextFile {
  let context: ContextFile;
  try {
    context = JSON.parse(readFileSync(path, 'utf8')) as ContextFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      const text = `${path}: there is no such file; name another one with --context or MESH_CONTEXT`;
      throw new MeshError('NotFound', text, { field: '--context' }, error);
    }
    throw new MeshError('InvalidArgument', `${path}: ${(error as Error).message}`, {}, error);
  }
  if (context.version !== 1 || typeof context.sites !== 'object') {
    throw invalid(path, 'is not a context file of this version; start `mesh dev` anew');
  }
  return context;
}

/** Writes it for its owner alone, for it holds passwords. */
export function writeContextFile(path: string, context: ContextFile): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, `${JSON.stringify(context, undefined, 2)}\n`, { mode: 0o600 });
  // An existing file keeps its mode over a write.
  chmodSync(path, 0o600);
}
