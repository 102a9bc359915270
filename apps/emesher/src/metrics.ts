import {
  counter,
  eventHistogram,
  gauge,
  histogram,
  queueGauge,
  type LiveMetrics,
} from '@eventmesh/telemetry';

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
    'Events accepted by consumers of the subscriptions that a protocol serves.',
    ['protocol'],
  ),
  protocolFiltered: counter(
    'eventmesh_protocol_events_filtered_total',
    'Records that the subscriptions which a protocol serves have ruled out.',
    ['protocol'],
  ),
  protocolExpired: counter(
    'eventmesh_protocol_events_expired_total',
    'Events whose life ended before the subscriptions that a protocol serves could deliver them.',
    ['protocol'],
  ),
  protocolDeadLettered: counter(
    'eventmesh_protocol_events_dead_lettered_total',
    'Dead letters of the subscriptions that a protocol serves.',
    ['protocol'],
  ),
  protocolDropped: counter(
    'eventmesh_protocol_events_dropped_total',
    'Events that the subscriptions which a protocol serves have dropped.',
    ['protocol'],
  ),
  protocolHeld: gauge(
    'eventmesh_protocol_events_held',
    'Matched and unsettled events of the subscriptions that a protocol serves.',
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
    'Events dropped: no right any more, dead letters switched off, or direct and nobody took them in time.',
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
  stuckKeys: gauge(
    'eventmesh_subscription_stuck_keys',
    'Keys whose first event has been at a consumer or retried for 10 seconds while others wait behind it; consumer is empty between tries. Counted up to 1,000.',
    ['tenant', 'subscription', 'consumer'],
  ),
  stuckKeySeconds: gauge(
    'eventmesh_subscription_stuck_key_seconds',
    'How long the ten longest stuck keys of a subscription have been so, and who holds them.',
    ['tenant', 'subscription', 'consumer', 'topic', 'key'],
  ),
  parked: gauge(
    'eventmesh_subscription_parked',
    'Of the held events, those that wait in the store behind a stuck one of their key.',
    ['tenant', 'subscription'],
  ),
  parkedKeys: gauge(
    'eventmesh_subscription_parked_keys',
    'Keys that have such events; at delivery.parkedKeysMax reading stops.',
    ['tenant', 'subscription'],
  ),
  cursorBytes: gauge(
    'eventmesh_subscription_cursor_bytes',
    'Packed bytes of the largest cursor of the partitions; at delivery.cursorBytesMax reading stops.',
    ['tenant', 'subscription'],
  ),
  stopped: gauge(
    'eventmesh_subscription_stopped',
    '1 while nothing more is read though a consumer would take more; by: memory is full of events that are out, retried or being buried, as many keys as may be are parked, or the cursor is as large as it may be.',
    ['tenant', 'subscription', 'by'],
  ),
  delayed: gauge(
    'eventmesh_subscription_delayed',
    'Of the held events, those that wait for their retry or for a delay that a consumer asked for.',
    ['tenant', 'subscription'],
  ),
  paced: gauge(
    'eventmesh_subscription_paced',
    'Of the held events, those that have failed, are due, and wait for room in the window of retries.',
    ['tenant', 'subscription'],
  ),
  retryWindow: gauge(
    'eventmesh_subscription_retry_window',
    'While retries are slowed down after an outage of the consumers: how many events that have failed may be out at a time. Not there while they are not.',
    ['tenant', 'subscription'],
  ),
  lag: gauge(
    'eventmesh_subscription_lag',
    'Stored records that the subscription has not looked at.',
    ['tenant', 'subscription'],
  ),
  deadLetters: gauge(
    'eventmesh_dead_letters',
    'Dead letters of a tenant that are neither redriven nor purged.',
    ['tenant'],
  ),
  deadLettersBytes: gauge('eventmesh_dead_letters_bytes', 'Stored bytes of them.', ['tenant']),
  deadLettersOldestSeconds: gauge(
    'eventmesh_dead_letters_oldest_seconds',
    'Age of the oldest one; 0 when there is none.',
    ['tenant'],
  ),
  deadLettersFull: gauge(
    'eventmesh_dead_letters_full',
    '1 while the dead letters are at their quota: what cannot be delivered is held.',
    ['tenant'],
  ),
  deadLettersBytesMax: gauge('eventmesh_dead_letters_bytes_max', 'The quota for them.', ['tenant']),
  deadLettersAlarm: gauge(
    'eventmesh_dead_letters_alarm',
    '1 while the dead letters take as much of their quota as the alarm is set to.',
    ['tenant'],
  ),
  deadLettersRedriven: counter(
    'eventmesh_dead_letters_redriven_total',
    'Dead letters given back to their subscription, or published when they had none.',
    ['tenant'],
  ),
  deadLettersPurged: counter('eventmesh_dead_letters_purged_total', 'Dead letters purged.', [
    'tenant',
  ]),
  takeovers: counter(
    'eventmesh_takeovers_total',
    'Names (subscriptions, links, timers, dead letters) that this emesher owns since another one that owned them has left the site, be it that its lease ended.',
    ['kind'],
  ),
  takeoverSeconds: histogram(
    'eventmesh_takeover_seconds',
    'From the word that the owner has left until its name was owned here. The time of its lease comes before that.',
    [],
  ),
  leaseTtl: gauge('eventmesh_lease_ttl_seconds', 'The time of the lease of this emesher.'),
  linkRead: counter(
    'eventmesh_link_read_total',
    'Stored events that a link has looked at; one that is read again counts again.',
    ['to'],
  ),
  linkTaken: counter(
    'eventmesh_link_taken_total',
    'Events that a link has taken to bring to a neighbouring site; each counts once.',
    ['to'],
  ),
  linkFiltered: counter(
    'eventmesh_link_filtered_total',
    'Stored events that do not go to the neighbouring site; each counts once, as far as the site keeps how far was looked.',
    ['to'],
  ),
  linkDelivered: counter(
    'eventmesh_link_delivered_total',
    'Taken events that the neighbouring site has accepted; each counts once.',
    ['to'],
  ),
  linkExpired: counter(
    'eventmesh_link_expired_total',
    'Taken events whose life, or place in the store, ended before the neighbouring site had them.',
    ['to'],
  ),
  linkHeld: gauge(
    'eventmesh_link_held',
    'Taken events that are neither accepted by the neighbouring site nor expired.',
    ['to'],
  ),
  linkUnkept: gauge(
    'eventmesh_link_unkept',
    'Positions that a link has looked at and that would be read again after a restart; the neighbouring site is told at intervals (link.progressInterval).',
    ['to'],
  ),
  linkRestored: counter(
    'eventmesh_link_restored_total',
    'Partitions whose log was found to be another one than the neighbouring site knows, as after a copy was brought back; what is new in it is sent.',
    ['to'],
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
  linkFenced: counter(
    'eventmesh_link_fenced_total',
    'Connections from a neighbouring site that were ended since another emesher of it owns the link, or its owner connected anew.',
    ['from'],
  ),
  linkPending: gauge(
    'eventmesh_link_unaccepted_bytes',
    'Bytes sent to a neighbouring site and not accepted.',
    ['to'],
  ),
  linkUp: gauge('eventmesh_link_up', '1 while the link to a neighbouring site is open.', ['to']),
  timersPending: gauge(
    'eventmesh_timers_pending',
    'Scheduled events that wait, at the emesher that fires them.',
    ['tenant'],
  ),
  timers: counter(
    'eventmesh_timers_total',
    'Scheduled events by what became of them: fire, fire-late, skip, dead-letter, forbidden (its ' +
      'publisher may not publish any more; a dead letter too), cancelled; moved within the log; ' +
      'duplicate (of one that was published meanwhile).',
    ['tenant', 'outcome'],
  ),
  publishSeconds: histogram(
    'eventmesh_publish_seconds',
    'From the event read to its receipt, by batch.',
    ['class'],
  ),
  hopSeconds: eventHistogram(
    'eventmesh_hop_seconds',
    "From the previous site's store to this one's, by the sites' clocks.",
    ['from'],
  ),
  endToEndSeconds: eventHistogram(
    'eventmesh_end_to_end_seconds',
    "From acceptance at the origin to the consumer's accept, by the sites' clocks.",
  ),
  direct: counter(
    'eventmesh_direct_events_total',
    'Events of the direct class, by what became of them: delivered; expired; dropped since a consumer was too slow (slow), had no right (forbidden) or was the last to leave (left); forwarded over a link, or not (link-dropped, no-route); handed to another emesher of the site, or not (to-emesher, emesher-dropped). Of replies: answered, or late.',
    ['outcome'],
  ),
  directDropped: counter(
    'eventmesh_direct_dropped_total',
    'Events of the direct class that a subscription did not get, by reason: its consumers were too slow (slow), had no right (forbidden), or the last of them left (left).',
    ['tenant', 'subscription', 'reason'],
  ),
  replayLanes: gauge('eventmesh_replay_lanes', 'Replay lanes and previews at work.', ['tenant']),
  replayed: counter(
    'eventmesh_replay_events_total',
    'Events that replay lanes have looked at, by what became of them.',
    ['tenant', 'outcome'],
  ),
  requestsPending: gauge('eventmesh_requests_pending', 'Requests that wait for their reply.', [
    'tenant',
  ]),
  requests: counter('eventmesh_requests_total', 'Requests, by how they ended.', [
    'tenant',
    'outcome',
  ]),
  replies: counter(
    'eventmesh_replies_total',
    'Replies that have reached their site: answered, or late when nobody waits (any more).',
    ['tenant', 'outcome'],
  ),
} as const;

/** Live in this process; whoever observes one of them gets these. */
export type EmesherMetrics = LiveMetrics<typeof emesherMetrics>;

/** Queues of the data plane; read when somebody looks. */
export const emesherQueues = {
  storePendingBytes: queueGauge(
    'eventmesh_store_client_pending_bytes',
    'Bytes of records that wait for their receipts from the store.',
  ),
  storeFrames: queueGauge(
    'eventmesh_store_client_frames_in_flight',
    'Frames that the busiest partition has on their way to the store-gateway.',
  ),
  storeCursors: queueGauge(
    'eventmesh_store_client_cursors_waiting',
    'Cursors that wait to be sent to the store-gateway.',
  ),
  heldBytes: queueGauge(
    'eventmesh_delivery_held_bytes',
    'Bytes of the matched and unsettled events of the subscription that has the most of them.',
  ),
  direct: queueGauge(
    'eventmesh_direct_waiting',
    'Direct events that wait for the slowest consumer, or group of consumers.',
  ),
  directFanOut: queueGauge(
    'eventmesh_direct_fan_out_waiting',
    'Direct events that wait for the slowest other emesher of the site.',
  ),
  relayRequests: queueGauge(
    'eventmesh_relay_requests_waiting',
    'Credit and settles of one consumer that wait for the emesher that owns its subscription.',
  ),
  broadcastConsumers: queueGauge(
    'eventmesh_broadcast_consumers',
    'Consumers that the largest broadcast subscription knows.',
  ),
  deadLetters: queueGauge(
    'eventmesh_dead_letters_waiting',
    'Dead letters of one tenant that are not durable yet; their events are held.',
  ),
  linkGatheredBytes: queueGauge(
    'eventmesh_link_gathered_bytes',
    'Bytes of events that one partition has gathered for a link and not sent.',
  ),
  linkMessages: queueGauge(
    'eventmesh_link_messages_waiting',
    'Messages that wait to be sent over the slowest link.',
  ),
  linkUnstoredBytes: queueGauge(
    'eventmesh_link_unstored_bytes',
    'Bytes received over the busiest link and not stored.',
  ),
  linkAnswers: queueGauge(
    'eventmesh_link_answers_waiting',
    'Answers that wait for the slowest neighbour to read them.',
  ),
  missed: queueGauge(
    'eventmesh_schedule_occurrences_missed',
    'Occurrences that the schedule which is behind the most has still to make up for after a stop.',
  ),
  replayHeld: queueGauge(
    'eventmesh_replay_held',
    'Matched and unsettled events of the fullest replay lane.',
  ),
  traceEvents: queueGauge('eventmesh_trace_events', 'Events that `mesh trace` can look back at.'),
  traceRefusals: queueGauge(
    'eventmesh_trace_refusals',
    'Refused events that `mesh why` can look back at.',
  ),
} as const;
