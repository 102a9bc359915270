import { DirectLanes } from '../deliver/direct-lanes.ts';
import { makeInboxes } from '../request/make-requests.ts';
import type { Base } from './foundation.ts';

/** Match → deliver, of direct events that have come to this emesher, and of replies to who waits here. */
export function directPath({ options, directory, ledger, metrics }: Base) {
  const { site, member, dataPlane } = options;
  const inboxes = makeInboxes({
    site,
    member,
    metrics,
    isSister: (id) => directory.sisters.some((sister) => sister.id === id),
  });
  const lanes = new DirectLanes({
    ledger,
    queueMax: dataPlane.delivery.directQueueMax,
    now: Date.now,
    inboxes,
  });
  return { lanes, inboxes };
}
