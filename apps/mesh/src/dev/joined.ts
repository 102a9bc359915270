import { MeshError } from '@eventmesh/errors';
import { pause } from '@eventmesh/time';
import type { SiteAddresses } from '../cli/context-file.ts';
import { HttpClient } from '../cli/http-client.ts';
import type { Topology } from '../commands/sites.ts';
import type { LocalMesh } from './local-mesh.ts';

const POLL_MS = 50;

/**
 * Waits until every site has a route to every other, at most this long. Answers what is missing,
 * such as `west does not reach east`; nothing when all are joined.
 */
export async function awaitJoined(
  { sites, identity }: Pick<LocalMesh, 'sites' | 'identity'>,
  timeoutMs: number,
): Promise<string[]> {
  const pair = Buffer.from(`admin:${identity.users['admin'] ?? ''}`).toString('base64');
  const names = sites.map(([name]) => name);
  const end = Date.now() + timeoutMs;
  for (;;) {
    const missing = await Promise.all(sites.map((site) => unreached(site, names, `Basic ${pair}`)));
    if (missing.flat().length === 0 || Date.now() > end) return missing.flat();
    await pause(POLL_MS);
  }
}

async function unreached(
  [site, { http }]: readonly [string, SiteAddresses],
  names: readonly string[],
  authorization: string,
): Promise<string[]> {
  try {
    const { routes } = await new HttpClient(http, authorization).get<Topology>('/v1/sites');
    const reached = new Set([site, ...routes.map(({ destination }) => destination)]);
    return names
      .filter((name) => !reached.has(name))
      .map((name) => `${site} does not reach ${name}`);
  } catch (error) {
    return [`${site}: ${MeshError.from(error).message}`];
  }
}
