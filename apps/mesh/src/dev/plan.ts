import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { MeshError, invalid } from '@eventmesh/errors';

export interface PlanOptions {
  /** 1 to 16. */
  readonly sites: number;
  /** Join the last site to the first, too. Default: a line. */
  readonly ring?: boolean;
  /** First port of the first site; absent: the default ports. 0: free ones for all. */
  readonly ports?: number;
}

export interface SitePlan {
  readonly name: string;
  readonly http: number;
  readonly grpc: number;
  readonly admin: number;
  /** Names of the neighbouring sites. */
  readonly neighbours: readonly string[];
}

export interface Plan {
  readonly sites: readonly SitePlan[];
  /** Ports that were taken, with what was used instead. */
  readonly moved: readonly { readonly wanted: number; readonly got: number }[];
}

const NAMES = ['west', 'east', 'north', 'south'];
export const SITES_MAX = 16;
const HTTP_PORT = 8080;
const GRPC_PORT = 9090;
const ADMIN_PORT = 9464;

export const siteName = (index: number): string => NAMES[index] ?? `site-${index + 1}`;

/** Names, links and ports of the sites; a port that is taken gives way to a free one. */
export async function planSites({ sites, ring = false, ports }: PlanOptions): Promise<Plan> {
  if (ring && sites < 3) throw invalid('--ring', 'a ring has at least 3 sites');
  const moved: { wanted: number; got: number }[] = [];
  const used = new Set<number>();
  const portFor = async (wanted: number): Promise<number> => {
    const got = await freePort(wanted, used);
    if (wanted !== 0 && got !== wanted) moved.push({ wanted, got });
    used.add(got);
    return got;
  };
  const planned: SitePlan[] = [];
  for (let index = 0; index < sites; index++) {
    const [http, grpc, admin] = wantedPorts(ports, index);
    planned.push({
      name: siteName(index),
      http: await portFor(http),
      grpc: await portFor(grpc),
      admin: await portFor(admin),
      neighbours: neighboursOf(index, sites, ring),
    });
  }
  return { sites: planned, moved };
}

function wantedPorts(base: number | undefined, index: number): [number, number, number] {
  if (base === 0) return [0, 0, 0];
  if (base === undefined) return [HTTP_PORT + index, GRPC_PORT + index, ADMIN_PORT + index];
  return [base + index * 10, base + index * 10 + 1, base + index * 10 + 2];
}

function neighboursOf(index: number, sites: number, ring: boolean): string[] {
  const before = index > 0 ? index - 1 : ring ? sites - 1 : undefined;
  const after = index < sites - 1 ? index + 1 : ring ? 0 : undefined;
  return [before, after].filter((at) => at !== undefined).map(siteName);
}

/**
 * Above the ports that `fetch` calls nobody at (10080 is the last), and below those that systems give to
 * whoever asks for any, and to connections (Linux: 32768).
 */
const PORT_MIN = 11_000;
const PORT_MAX = 32_000;
const ATTEMPTS_MAX = 1000;

/**
 * The wanted port when it is free on loopback, else any free one: none that the system may give to a
 * connection before its owner binds it, or while its owner is down.
 *
 * @param wanted 0: any.
 * @throws MeshError Unavailable when a thousand of them are taken.
 */
export async function freePort(wanted: number, except: ReadonlySet<number>): Promise<number> {
  if (wanted !== 0 && !except.has(wanted) && (await isFree(wanted))) return wanted;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (!except.has(port) && (await isFree(port))) return port;
  }
  throw new MeshError(
    'Unavailable',
    `no free port was found on 127.0.0.1 from ${PORT_MIN} to ${PORT_MAX}; name a first one by --ports`,
    { reason: 'NOT_STARTED' },
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
