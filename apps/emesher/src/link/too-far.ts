import type { RecordView } from '@eventmesh/event';

/**
 * Why a record that has come over a link to a site must not go further: it has been there already,
 * or it has come over too many links.
 */
export function tooFar(
  { originSite, hops }: Pick<RecordView, 'originSite' | 'hops'>,
  site: string,
  hopsMax: number,
): 'loop' | 'hops' | undefined {
  if (originSite === site || hops.some((hop) => hop.site === site)) return 'loop';
  return hops.length >= hopsMax ? 'hops' : undefined;
}
