import { counter, gauge, histogram } from '@eventmesh/telemetry';

/** One counter at each state transition of an event: the ledger is made from these. */
export const emesherMetrics = {
  accepted: counter(
    'eventmesh_events_accepted_total',
    'Events accepted from clients of this emesher, by delivery class.',
    ['tenant', 'class'],
  ),
  protocolAccepted: counter(
    'eventmesh_protocol_events_accepted_total',
    'Events accepted from clients of this emesher, by protocol.',
    ['protocol'],
  ),
  protocolDelivered: counter(
    'eventmesh_protocol_events_delivered_total',
    'Events handed to consumers, by protocol; redeliveries are among them.',
    ['protocol'],
  ),
  refused: counter('eventmesh_events_refused_total', 'Events refused at publish, by mesh code.', [
    'tenant',
    'code',
  ]),
  duplicates: counter(
    'eventmesh_events_duplicate_total',
    'Events that were in the store already when published.',
    ['tenant'],
  ),
  acceptedBytes: counter(
    'eventmesh_events_accepted_bytes_total',
    'Bytes of accepted events in their protobuf encoding.',
    ['tenant'],
  ),
  considered: counter(
    'eventmesh_subscription_considered_total',
    'Stored records that a subscription has looked at.',
    ['tenant', 'subscription'],
  ),
  delivered: counter('eventmesh_subscription_delivered_total', 'Events accepted by a consumer.', [
    'tenant',
    'subscription',
  ]),
  filtered: counter(
    'eventmesh_subscription_filtered_total',
    'Records that topic filters or filters ruled out.',
    ['tenant', 'subscription'],
  ),
  expired: counter(
    'eventmesh_subscription_expired_total',
    'Events whose life ended before they were delivered.',
    ['tenant', 'subscription'],
  ),
  deadLettered: counter(
    'eventmesh_subscription_dead_lettered_total',
    'Events given up and kept as dead letters.',
    ['tenant', 'subscription'],
  ),
  dropped: counter(
    'eventmesh_subscription_dropped_total',
    'Events dropped: no right any more, dead letters switched off, or direct and too slow.',
    ['tenant', 'subscription'],
  ),
  redelivered: counter(
    'eventmesh_subscription_redelivered_total',
    'Deliveries after the first one of an event.',
    ['tenant', 'subscription'],
  ),
  held: gauge('eventmesh_subscription_held', 'Matched events that are not settled.', [
    'tenant',
    'subscription',
  ]),
  lag: gauge(
    'eventmesh_subscription_lag',
    'Stored records that the subscription has not looked at.',
    ['tenant', 'subscription'],
  ),
  linkSent: counter('eventmesh_link_sent_total', 'Events sent to a neighbouring site.', ['to']),
  linkAccepted: counter(
    'eventmesh_link_accepted_total',
    'Events that the neighbouring site has stored.',
    ['to'],
  ),
  linkReceived: counter(
    'eventmesh_link_received_total',
    'Events stored from a neighbouring site.',
    ['from'],
  ),
  linkDropped: counter(
    'eventmesh_link_dropped_total',
    'Events from a link that were not stored, by reason.',
    ['from', 'reason'],
  ),
  linkPending: gauge(
    'eventmesh_link_unaccepted_bytes',
    'Bytes sent to a neighbouring site and not accepted.',
    ['to'],
  ),
  linkUp: gauge('eventmesh_link_up', '1 while the link to a neighbouring site is open.', ['to']),
  publishSeconds: histogram(
    'eventmesh_publish_seconds',
    'From the event read to its receipt, by batch.',
    ['class'],
  ),
  hopSeconds: histogram(
    'eventmesh_hop_seconds',
    "From the previous site's store to this one's, by the sites' clocks.",
    ['from'],
  ),
  endToEndSeconds: histogram(
    'eventmesh_end_to_end_seconds',
    "From acceptance at the origin to the consumer's accept, by the sites' clocks.",
    [],
  ),
  direct: counter(
    'eventmesh_direct_events_total',
    'Events of the direct class, by what became of them.',
    ['outcome'],
  ),
} as const;
