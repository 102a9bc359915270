import type { EventLimits } from '@eventmesh/event';
import type { DataPlaneConfig } from '../config.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { Resolver } from '../publish/resolve.ts';
import { Slots } from '../slots.ts';
import { Inboxes, type InboxesOptions } from './inboxes.ts';
import { Requests } from './requests.ts';

/** The inboxes of an emesher, with what is counted of replies. */
export function makeInboxes(
  parts: Pick<InboxesOptions, 'site' | 'member' | 'isSister'> & { readonly ledger: Ledger },
): Inboxes {
  const { site, member, isSister, ledger } = parts;
  return new Inboxes({
    site,
    member,
    now: Date.now,
    isSister,
    onReply(tenant, outcome) {
      ledger.metrics.replies.inc({ tenant, outcome });
      ledger.metrics.direct.inc({ outcome });
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
  readonly ledger: Ledger;
  readonly draining: AbortSignal;
}

/** Requests with their bounds and metrics. */
export function makeRequests({ config, ledger, ...parts }: RequestParts): Requests {
  const limits = { max: config.pendingMax, maxPerTenant: config.pendingMaxPerTenant };
  return new Requests({
    ...parts,
    now: Date.now,
    slots: new Slots(limits, 'requests that wait', 'REQUESTS_MAX', (tenant, taken) => {
      ledger.metrics.requestsPending.set({ tenant }, taken);
    }),
    onEnded: (tenant, outcome) => ledger.metrics.requests.inc({ tenant, outcome }),
  });
}
