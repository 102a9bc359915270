import type { Delivery } from '@eventmesh/adapter-api';
import type { Assignment } from '@eventmesh/delivery';

/** What an engine gives out, as consumers get it. */
export function toDelivery({ id, entry }: Assignment['deliveries'][number]): Delivery {
  const { record, partition, position, attempts } = entry;
  return {
    id,
    attempt: attempts,
    topic: record.topic,
    event: record.event,
    partition,
    position,
    originSite: record.originSite,
    ingressTimeUs: record.ingressTimeUs,
  };
}
