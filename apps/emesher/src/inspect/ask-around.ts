import { MeshError } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';
import type { LinkClient } from '../link/link-client.ts';

/** How long a neighbour, and all behind it, may take; in ms. */
export const ASK_TIMEOUT_MS = 3000;

/**
 * Puts a question to the neighbouring sites that have not answered yet, one after the other; each
 * asks those behind it. Every site answers once, however the links run.
 *
 * @param ask Is given the sites that have answered already.
 * @param sitesOf Which sites an answer comes from.
 */
export async function askAround<T>(
  links: ReadonlyMap<string, LinkClient>,
  visited: readonly string[],
  logger: Logger,
  ask: (link: LinkClient, visited: string[]) => Promise<T>,
  sitesOf: (answer: T) => Iterable<string>,
): Promise<{ readonly answers: readonly T[]; readonly unreachable: readonly string[] }> {
  const seen = new Set(visited);
  const answers: T[] = [];
  const unreachable: string[] = [];
  for (const [site, link] of links) {
    if (seen.has(site)) continue;
    try {
      const answer = await ask(link, [...seen]);
      answers.push(answer);
      seen.add(site);
      for (const other of sitesOf(answer)) seen.add(other);
    } catch (error) {
      const { code } = MeshError.from(error);
      logger.debug({ to: site, code }, 'a site could not be asked');
      unreachable.push(site);
    }
  }
  return { answers, unreachable };
}
