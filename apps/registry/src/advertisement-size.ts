import type { Advertisement } from '@eventmesh/proto-gen/registry';

/** Longest advertisement in bytes; leaves room below the largest value of the control state. */
export const ADVERTISEMENT_BYTES_MAX = 900 * 1024;
/** Tags, lengths and numbers of one entry, rounded up. */
const ENTRY_BYTES = 24;

/**
 * An upper bound of an advertisement's encoded length. Sizes are asked for far more often than an
 * advertisement is encoded, and encoding to measure took a third of a registry's time.
 */
export function advertisementBytes({ site, links, interest, httpAddress }: Advertisement): number {
  let bytes = Buffer.byteLength(site) + Buffer.byteLength(httpAddress) + 64;
  for (const { toSite } of links) bytes += Buffer.byteLength(toSite) + ENTRY_BYTES;
  for (const { tenant, topicFilter } of interest) {
    bytes += Buffer.byteLength(tenant) + Buffer.byteLength(topicFilter) + ENTRY_BYTES;
  }
  return bytes;
}
