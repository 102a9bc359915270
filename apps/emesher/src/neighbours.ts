import { tlsFiles } from '@eventmesh/lifecycle';
import type { EmesherConfig } from './config.ts';
import type { Neighbour } from './link/link-client.ts';

/** The configured links without the keys that are not set. */
export function neighboursOf(links: EmesherConfig['links']): Neighbour[] {
  return links.map(({ site, address, tls }) => ({
    site,
    address,
    ...(tls === undefined ? {} : { tls: tlsFiles(tls) }),
  }));
}
