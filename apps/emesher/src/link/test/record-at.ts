import { encodeEvent, encodeRecord } from '@eventmesh/event';

/** A record as a log of the site `west` has it; no two have the same ingress time. */
export const recordAt = (ingressTimeUs: number) => ({
  bytes: encodeRecord(
    {
      tenant: 't',
      topic: 'a',
      principal: 'p',
      originSite: 'west',
      destinations: [],
      ingressTimeUs,
      hops: [],
    },
    encodeEvent({ id: String(ingressTimeUs), source: '/s', type: 't' }),
  ),
});
