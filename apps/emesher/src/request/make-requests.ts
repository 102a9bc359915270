import type { EventLimits } from '@eventmesh/event';
import type { DataPlaneConfig } from '../config.ts';
import type { EmesherMetrics } from '../metrics.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { Resolver } from '../publish/resolve.ts';
import { Slots } from '../slots.ts';
import { Inboxes, type InboxesOptions } from './inboxes.ts';
import { Requests } from './requests.ts';

/** The inboxes of an emesher, with what is counted of replies. */
export function makeInboxes(
  parts: Pick<InboxesOptions, 'site' | 'member' | 'isSister'> & {
    readonly metrics: EmesherMetrics;
  },
): Inboxes {
  const { site, member, isSister, metrics } = parts;
  return new Inboxes({
    site,
    member,
    now: Date.now,
    isSister,
    onReply(tenant, outcome) {
      metrics.replies.inc({ tenant, outcome });
      metrics.direct.inc({ outcome });
    },
  });
}

export interface RequestParts {
  readonly site: string;
  readonly member: string;
  readonly config: DataPlaneConfig['request'];
  readonly limits: () => EventLimits;
  readonly inboxes: Inboxes;
  readonly resolver: Resolver;
  readonly publisher: Publisher;
  readonly metrics: EmesherMetrics;
  readonly draining: AbortSignal;
}

/** Requests with their bounds and metrics. */
export function makeRequests({ config, metrics, ...parts }: RequestParts): Requests {
  const limits = { max: config.pendingMax, maxPerTenant: config.pendingMaxPerTenant };
  return new Requests({
    ...parts,
    now: Date.now,
    slots: new Slots(limits, 'requests that wait', 'REQUESTS_MAX', (tenant, taken) => {
      metrics.requestsPending.set({ tenant }, taken);
    }),
    onEnded: (tenant, outcome) => metrics.requests.inc({ tenant, outcome }),
  });
}
