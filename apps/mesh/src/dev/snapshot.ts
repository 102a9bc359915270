import { labelValues, parseMetrics, total, type Sample } from './metrics-text.ts';

/** What became of events, as far as it can be said of a row. */
export interface Books {
  readonly accepted: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly held: number;
  readonly deadLettered: number;
}

export interface LinkBooks {
  readonly to: string;
  readonly up: boolean;
  readonly sent: number;
  /** Stored by the neighbour. */
  readonly accepted: number;
  readonly unacceptedBytes: number;
}

export interface ProtocolBooks {
  readonly protocol: string;
  readonly accepted: number;
  readonly delivered: number;
}

export interface SiteSnapshot extends Books {
  readonly site: string;
  readonly answers: boolean;
  readonly dropped: number;
  readonly protocols: readonly ProtocolBooks[];
  readonly links: readonly LinkBooks[];
}

const ACCEPTED = 'eventmesh_events_accepted_total';
const PROTOCOL_ACCEPTED = 'eventmesh_protocol_events_accepted_total';
const PROTOCOL_DELIVERED = 'eventmesh_protocol_events_delivered_total';

/** The books of a site out of its metrics. */
export function snapshotOf(site: string, samples: readonly Sample[]): SiteSnapshot {
  const protocols = new Set([
    ...labelValues(samples, PROTOCOL_ACCEPTED, 'protocol'),
    ...labelValues(samples, PROTOCOL_DELIVERED, 'protocol'),
  ]);
  return {
    site,
    answers: true,
    accepted: total(samples, ACCEPTED),
    delivered: total(samples, 'eventmesh_subscription_delivered_total'),
    filtered: total(samples, 'eventmesh_subscription_filtered_total'),
    held: total(samples, 'eventmesh_subscription_held'),
    deadLettered: total(samples, 'eventmesh_subscription_dead_lettered_total'),
    dropped: total(samples, 'eventmesh_subscription_dropped_total'),
    protocols: [...protocols].sort().map((protocol) => ({
      protocol,
      accepted: total(samples, PROTOCOL_ACCEPTED, { protocol }),
      delivered: total(samples, PROTOCOL_DELIVERED, { protocol }),
    })),
    links: labelValues(samples, 'eventmesh_link_up', 'to').map((to) => ({
      to,
      up: total(samples, 'eventmesh_link_up', { to }) === 1,
      sent: total(samples, 'eventmesh_link_sent_total', { to }),
      accepted: total(samples, 'eventmesh_link_accepted_total', { to }),
      unacceptedBytes: total(samples, 'eventmesh_link_unaccepted_bytes', { to }),
    })),
  };
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
