import { labelValues, parseMetrics, total, type Sample } from './metrics-text.ts';

/** What became of events, as far as it can be said of a row; docs/operating/live-table.md. */
export interface Books {
  readonly accepted: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly expired: number;
  readonly held: number;
  readonly deadLettered: number;
  readonly dropped: number;
}

export interface ProtocolBooks extends Books {
  /** `NO_PROTOCOL` for what came through none. */
  readonly protocol: string;
}

/** accepted = delivered + held + deadLettered. */
export interface LinkBooks {
  readonly to: string;
  readonly up: boolean;
  /** Taken to be brought to the neighbour. */
  readonly accepted: number;
  /** Stored by the neighbour. */
  readonly delivered: number;
  /** Looked at, and not for the neighbour. */
  readonly filtered: number;
  /** Waiting to be sent, or sent and not accepted. */
  readonly held: number;
  /** Given up on the link: expired before they were sent, or refused as too far travelled. */
  readonly deadLettered: number;
  /** Sendings, those again after a break among them. */
  readonly sent: number;
  readonly unacceptedBytes: number;
}

export interface SiteSnapshot extends Books {
  readonly site: string;
  readonly answers: boolean;
  readonly protocols: readonly ProtocolBooks[];
  readonly links: readonly LinkBooks[];
  /** What came over links and was given up here: it had been here, or passed too many sites. */
  readonly refusedFrom: Readonly<Record<string, number>>;
}

export const NO_PROTOCOL = '(none)';

const KINDS = [
  'accepted',
  'delivered',
  'filtered',
  'expired',
  'held',
  'deadLettered',
  'dropped',
] as const;

/** Of all events, and of those of a protocol, by the names that the metrics have for them. */
const METRICS: Readonly<Record<(typeof KINDS)[number], readonly [all: string, protocol: string]>> =
  Object.freeze({
    accepted: ['events_accepted_total', 'protocol_events_accepted_total'],
    delivered: ['subscription_delivered_total', 'protocol_events_delivered_total'],
    filtered: ['subscription_filtered_total', 'protocol_events_filtered_total'],
    expired: ['subscription_expired_total', 'protocol_events_expired_total'],
    held: ['subscription_held', 'protocol_events_held'],
    deadLettered: ['subscription_dead_lettered_total', 'protocol_events_dead_lettered_total'],
    dropped: ['subscription_dropped_total', 'protocol_events_dropped_total'],
  });

type Count = (kind: (typeof KINDS)[number]) => number;

const booksOf = (count: Count): Books => ({
  accepted: count('accepted'),
  delivered: count('delivered'),
  filtered: count('filtered'),
  expired: count('expired'),
  held: count('held'),
  deadLettered: count('deadLettered'),
  dropped: count('dropped'),
});

/** The books of a site out of its metrics. */
export function snapshotOf(site: string, samples: readonly Sample[]): SiteSnapshot {
  const all = booksOf((kind) => total(samples, `eventmesh_${METRICS[kind][0]}`));
  return {
    site,
    answers: true,
    ...all,
    protocols: protocolsOf(samples, all),
    links: labelValues(samples, 'eventmesh_link_up', 'to').map((to) => linkOf(samples, to)),
    refusedFrom: Object.fromEntries(
      labelValues(samples, 'eventmesh_link_dropped_total', 'from').map((from) => [
        from,
        total(samples, 'eventmesh_link_dropped_total', { from }),
      ]),
    ),
  };
}

/** A row for each protocol, and one for the rest where there is any: they add up to all. */
function protocolsOf(samples: readonly Sample[], all: Books): ProtocolBooks[] {
  const names = new Set(
    KINDS.flatMap((kind) => labelValues(samples, `eventmesh_${METRICS[kind][1]}`, 'protocol')),
  );
  const rows = [...names].sort().map((protocol) => ({
    protocol,
    ...booksOf((kind) => total(samples, `eventmesh_${METRICS[kind][1]}`, { protocol })),
  }));
  const rest = booksOf((kind) => rows.reduce((left, row) => left - row[kind], all[kind]));
  const some = KINDS.some((kind) => rest[kind] !== 0);
  return some ? [...rows, { protocol: NO_PROTOCOL, ...rest }] : rows;
}

function linkOf(samples: readonly Sample[], to: string): LinkBooks {
  const count = (name: string) => total(samples, `eventmesh_link_${name}`, { to });
  return {
    to,
    up: count('up') === 1,
    accepted: count('taken_total'),
    delivered: count('delivered_total'),
    filtered: count('filtered_total'),
    held: count('held'),
    deadLettered: count('expired_total'),
    sent: count('sent_total'),
    unacceptedBytes: count('unaccepted_bytes'),
  };
}

/**
 * What a neighbour has refused counts as given up on the link that brought it, and not as
 * delivered; only the neighbour's own metrics tell.
 */
export function joinLinks(sites: readonly SiteSnapshot[]): SiteSnapshot[] {
  const bySite = new Map(sites.map((each) => [each.site, each]));
  return sites.map((each) => ({
    ...each,
    links: each.links.map((link) => {
      const refused = bySite.get(link.to)?.refusedFrom[each.site] ?? 0;
      const delivered = link.delivered - refused;
      return { ...link, delivered, deadLettered: link.deadLettered + refused };
    }),
  }));
}

const TIMEOUT_MS = 2000;

/** Asks a site for its metrics; one that does not answer has empty books. */
export async function readSnapshot(site: string, admin: string): Promise<SiteSnapshot> {
  try {
    const response = await fetch(`${admin}/metrics`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return snapshotOf(site, parseMetrics(await response.text()));
  } catch {
    return { ...snapshotOf(site, []), answers: false };
  }
}
