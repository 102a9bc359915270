/** One kind of queue: where it is, what bounds it, how full it is and what happens then. */
export interface QueueRow {
  /** The service that has it. */
  readonly service: string;
  readonly queue: string;
  /** Its bound, a key of the configuration of that service. */
  readonly key: string;
  readonly gauge: string;
  /** What producers feel when it is full. */
  readonly full: string;
  /** The sources that fill and empty it. */
  readonly at: readonly string[];
}

const HTTP = 'libs/adapter/http/src';
const GRPC = 'libs/adapter/grpc/src';
const EMESHER = 'apps/emesher/src';
const GATEWAY = 'apps/store-gateway/src';
const REGISTRY = 'apps/registry/src';

const PUBLISHING: readonly QueueRow[] = [
  {
    service: 'emesher',
    queue: 'events of a gRPC publish stream that are not answered',
    key: 'dataPlane.publish.windowEvents',
    gauge: 'eventmesh_publish_stream_events',
    full: 'Nothing more is read of the stream: the publisher feels the flow control of HTTP/2.',
    at: [`${GRPC}/in-order.ts`, `${GRPC}/publish-window.ts`],
  },
  {
    service: 'emesher',
    queue: 'their bytes',
    key: 'dataPlane.publish.windowBytes',
    gauge: 'eventmesh_publish_stream_bytes',
    full: 'The same.',
    at: [`${GRPC}/publish-window.ts`],
  },
  {
    service: 'emesher',
    queue: 'appends that wait for their receipts from the store-gateway',
    key: 'services.store.pendingBytesMax',
    gauge: 'eventmesh_store_client_pending_bytes',
    full: 'The append is refused as ResourceExhausted (STORE_BUSY) with a time to come back; nothing of it is stored.',
    at: ['libs/store/remote/src/append-stream.ts'],
  },
  {
    service: 'emesher',
    queue: 'frames of one partition on their way to the store-gateway',
    key: 'services.store.framesInFlightMax',
    gauge: 'eventmesh_store_client_frames_in_flight',
    full: 'Appends gather for the next frame, and count among those that wait.',
    at: ['libs/store/remote/src/append-stream.ts'],
  },
  {
    service: 'emesher',
    queue: 'scheduled events of a tenant that wait for their time',
    key: 'dataPlane.timers.pendingMax',
    gauge: 'eventmesh_timers_pending',
    full: 'Further ones are refused as ResourceExhausted (TIMERS_FULL).',
    at: [`${EMESHER}/schedule/timer-book.ts`],
  },
  {
    service: 'emesher',
    queue: 'occurrences of a schedule that a stop has left behind',
    key: 'dataPlane.timers.missedMax',
    gauge: 'eventmesh_schedule_occurrences_missed',
    full: 'The oldest are skipped, with a line in the log.',
    at: [`${EMESHER}/schedule/cron-turns.ts`],
  },
  {
    service: 'emesher',
    queue: 'requests that wait for their reply',
    key: 'dataPlane.request.pendingMax',
    gauge: 'eventmesh_requests_pending',
    full: 'Further ones are refused as ResourceExhausted (REQUESTS_MAX).',
    at: [`${EMESHER}/request/inboxes.ts`],
  },
  {
    service: 'emesher',
    queue: 'those of one tenant',
    key: 'dataPlane.request.pendingMaxPerTenant',
    gauge: 'eventmesh_requests_pending',
    full: 'The same, for this tenant only.',
    at: [`${EMESHER}/request/inboxes.ts`],
  },
];

const DELIVERING: readonly QueueRow[] = [
  {
    service: 'emesher',
    queue: 'bytes that the store reads ahead of a reader of a partition',
    key: 'dataPlane.delivery.readAheadBytes',
    gauge: 'eventmesh_store_unread_bytes',
    full: 'The store-gateway sends no more until some are taken; the rest waits in the store.',
    at: [`${EMESHER}/follow/follower.ts`, 'libs/store/remote/src/read-stream.ts'],
  },
  {
    service: 'emesher',
    queue: 'matched events of a subscription that are not settled',
    key: 'dataPlane.delivery.heldMax',
    gauge: 'eventmesh_subscription_held',
    full: 'What waits behind stuck keys is dropped from memory (parked, also held). Else the subscription reads no further; the rest waits in the store. Others go on.',
    at: ['libs/delivery/src/backlog.ts'],
  },
  {
    service: 'emesher',
    queue: 'their bytes',
    key: 'dataPlane.delivery.heldBytesMax',
    gauge: 'eventmesh_delivery_held_bytes',
    full: 'The same.',
    at: ['libs/delivery/src/backlog.ts'],
  },
  {
    service: 'emesher',
    queue: 'stuck keys of a subscription of which events wait in the store',
    key: 'dataPlane.delivery.parkedKeysMax',
    gauge: 'eventmesh_subscription_parked_keys',
    full: 'Nothing is dropped from memory for further ones; the subscription reads no further once it is full.',
    at: ['libs/delivery/src/parking.ts'],
  },
  {
    service: 'emesher',
    queue: 'bytes of what a cursor tells apart of a partition',
    key: 'dataPlane.delivery.cursorBytesMax',
    gauge: 'eventmesh_subscription_cursor_bytes',
    full: 'The subscription reads no further until some of it is settled. Others go on.',
    at: ['libs/delivery/src/progress.ts'],
  },
  {
    service: 'emesher',
    queue: 'deliveries that wait for a gRPC consumer to read them',
    key: 'dataPlane.delivery.consumerBytesMax',
    gauge: 'eventmesh_consumer_bytes',
    full: 'The rest of the credit of the consumer is used as it reads; others go on.',
    at: [`${GRPC}/consumer-queue.ts`],
  },
  {
    service: 'emesher',
    queue: 'gaps and refused settles that wait for it',
    key: 'dataPlane.delivery.consumerMessagesMax',
    gauge: 'eventmesh_consumer_messages',
    full: 'Its stream is ended as ResourceExhausted (CONSUMER_STALLED) and its events go to others.',
    at: [`${GRPC}/consumer-queue.ts`],
  },
  {
    service: 'emesher',
    queue: 'events that wait for the socket of an SSE stream',
    key: 'http.streamCredit',
    gauge: 'eventmesh_http_stream_events',
    full: 'No more are delivered until the socket drains; one that never does is cut (`http.stallMax`).',
    at: [`${HTTP}/sse-stream.ts`],
  },
  {
    service: 'emesher',
    queue: 'their bytes',
    key: 'http.streamBytesMax',
    gauge: 'eventmesh_http_stream_bytes',
    full: 'The same.',
    at: [`${HTTP}/sse-stream.ts`],
  },
  {
    service: 'emesher',
    queue: 'bytes of the answer to a pull',
    key: 'http.streamBytesMax',
    gauge: 'eventmesh_http_pull_bytes',
    full: 'It is sent; the rest waits for the next pull where the subscription runs.',
    at: [`${HTTP}/pull-turn.ts`],
  },
  {
    service: 'emesher',
    queue: 'refused settles and gaps that wait for a pull',
    key: 'http.pullMessagesMax',
    gauge: 'eventmesh_http_pull_messages',
    full: 'The oldest refused settles are dropped: their events come again. With more gaps the consumer is detached.',
    at: [`${HTTP}/pull-consumer.ts`],
  },
  {
    service: 'emesher',
    queue: 'direct events that wait for a consumer, or a group of them',
    key: 'dataPlane.delivery.directQueueMax',
    gauge: 'eventmesh_direct_waiting',
    full: 'The oldest is dropped and counted (`eventmesh_direct_events_total`, outcome slow).',
    at: [`${EMESHER}/deliver/direct-lane.ts`],
  },
  {
    service: 'emesher',
    queue: 'cursors that wait to be sent to the store-gateway',
    key: 'services.store.waitingCursorsMax',
    gauge: 'eventmesh_store_client_cursors_waiting',
    full: 'Further ones are not written now; the progress goes with the next write.',
    at: ['libs/store/remote/src/cursor-commits.ts'],
  },
  {
    service: 'emesher',
    queue: 'events given up whose dead letters are not durable yet, by tenant',
    key: 'dataPlane.delivery.heldMax',
    gauge: 'eventmesh_dead_letters_waiting',
    full: 'They count among the held events of their subscription, which reads no further.',
    at: [`${EMESHER}/dead/dead-letters.ts`],
  },
  {
    service: 'emesher',
    queue: 'dead letters of a tenant',
    key: 'dataPlane.deadLetters.bytesMax',
    gauge: 'eventmesh_dead_letters_bytes',
    full: 'Nothing is given up any more: the events are held until some letters are redriven or purged.',
    at: [`${EMESHER}/dead/dead-log.ts`],
  },
  {
    service: 'emesher',
    queue: 'replay lanes and previews',
    key: 'dataPlane.replay.lanesMax',
    gauge: 'eventmesh_replay_lanes',
    full: 'Further ones are refused as ResourceExhausted (REPLAYS_MAX).',
    at: [`${EMESHER}/replay/replays.ts`],
  },
  {
    service: 'emesher',
    queue: 'those of one tenant',
    key: 'dataPlane.replay.lanesMaxPerTenant',
    gauge: 'eventmesh_replay_lanes',
    full: 'The same, for this tenant only.',
    at: [`${EMESHER}/replay/replays.ts`],
  },
  {
    service: 'emesher',
    queue: 'matched events of a replay lane that are not settled',
    key: 'dataPlane.replay.heldMax',
    gauge: 'eventmesh_replay_held',
    full: 'The lane reads no further; the rest waits in the store.',
    at: [`${EMESHER}/replay/lane.ts`],
  },
];

const BETWEEN: readonly QueueRow[] = [
  {
    service: 'emesher',
    queue: 'credit and settles of a consumer that wait for the emesher that owns its subscription',
    key: 'dataPlane.delivery.relayRequestsMax',
    gauge: 'eventmesh_relay_requests_waiting',
    full: 'The owner counts as gone: the consumer is attached anew, and what it had comes again.',
    at: [`${EMESHER}/peer/relay.ts`],
  },
  {
    service: 'emesher',
    queue: 'consumers of a broadcast subscription, those that are away among them',
    key: 'dataPlane.delivery.broadcastConsumersMax',
    gauge: 'eventmesh_broadcast_consumers',
    full: 'Further ones are refused as ResourceExhausted (BROADCAST_CONSUMERS).',
    at: [`${EMESHER}/deliver/broadcast.ts`],
  },
  {
    service: 'emesher',
    queue: 'direct events that wait for another emesher of the site',
    key: 'dataPlane.delivery.directFanOutMax',
    gauge: 'eventmesh_direct_fan_out_waiting',
    full: 'The oldest is dropped and counted (`eventmesh_direct_events_total`, outcome emesher-dropped).',
    at: [`${EMESHER}/peer/direct-fan-out.ts`],
  },
  {
    service: 'emesher',
    queue: 'events that a partition has gathered for a link',
    key: 'dataPlane.link.windowBytes',
    gauge: 'eventmesh_link_gathered_bytes',
    full: 'The link reads no further than the batch it is in; the rest waits in the store. The bound is that of the neighbour.',
    at: [`${EMESHER}/link/route-tap.ts`],
  },
  {
    service: 'emesher',
    queue: 'events sent over a link and not accepted',
    key: 'dataPlane.link.windowBytes',
    gauge: 'eventmesh_link_unaccepted_bytes',
    full: 'Nothing is sent until the neighbour has stored some. The bound is that of the neighbour.',
    at: [`${EMESHER}/link/sender.ts`],
  },
  {
    service: 'emesher',
    queue: 'events received over a link and not stored',
    key: 'dataPlane.link.windowBytes',
    gauge: 'eventmesh_link_unstored_bytes',
    full: 'Nothing more is read of the neighbour: it feels the flow control of HTTP/2.',
    at: [`${EMESHER}/link/receive-window.ts`, `${EMESHER}/link/receiver.ts`],
  },
  {
    service: 'emesher',
    queue: 'answers that wait for a neighbour to read them',
    key: 'dataPlane.link.answersMax',
    gauge: 'eventmesh_link_answers_waiting',
    full: 'The same.',
    at: [`${EMESHER}/link/receive-window.ts`, `${EMESHER}/link/receiver.ts`],
  },
  {
    service: 'emesher',
    queue: 'messages that wait to be sent over a link',
    key: 'dataPlane.link.directQueueMax',
    gauge: 'eventmesh_link_messages_waiting',
    full: 'Direct events are dropped and counted (`eventmesh_direct_events_total`, outcome link-dropped); durable ones are bounded by the window.',
    at: [`${EMESHER}/link/sender.ts`],
  },
];

const LOOKING_BACK: readonly QueueRow[] = [
  {
    service: 'emesher',
    queue: 'audit entries on their way to governance',
    key: 'dataPlane.audit.spoolMax',
    gauge: 'eventmesh_audit_spool_entries',
    full: 'Further ones are only counted; their number goes into the audit when it is back.',
    at: ['libs/clients/src/governance-audit.ts'],
  },
  {
    service: 'emesher',
    queue: 'events that `mesh trace` can look back at',
    key: 'dataPlane.trace.eventsMax',
    gauge: 'eventmesh_trace_events',
    full: 'The oldest is forgotten.',
    at: [`${EMESHER}/inspect/journal.ts`],
  },
  {
    service: 'emesher',
    queue: 'refusals that `mesh why` can look back at',
    key: 'dataPlane.trace.refusalsMax',
    gauge: 'eventmesh_trace_refusals',
    full: 'The oldest is forgotten.',
    at: [`${EMESHER}/inspect/refusals.ts`],
  },
];

const STORING: readonly QueueRow[] = [
  {
    service: 'store-gateway',
    queue: 'requests of an append stream whose receipts are not sent',
    key: 'append.windowRecords',
    gauge: 'eventmesh_store_appends_waiting',
    full: 'Nothing more is read of the stream: the emesher feels the flow control of HTTP/2.',
    at: [`${GATEWAY}/append.ts`],
  },
  {
    service: 'store-gateway',
    queue: 'their bytes',
    key: 'append.windowBytes',
    gauge: 'eventmesh_store_append_window_bytes',
    full: 'The same.',
    at: [`${GATEWAY}/append.ts`],
  },
  {
    service: 'store-gateway',
    queue: 'appends of all streams that wait for the store',
    key: 'append.pendingBytesMax',
    gauge: 'eventmesh_store_pending_bytes',
    full: 'The append is refused as ResourceExhausted (STORE_BUSY) with a time to come back; nothing of it is stored.',
    at: ['libs/store/embedded/src/commit.ts', 'libs/store/jetstream/src/pending.ts'],
  },
  {
    service: 'store-gateway',
    queue: 'JetStream: group commits of a partition under way',
    key: 'store.groupsInFlightMax',
    gauge: 'eventmesh_store_commits_in_flight',
    full: 'Appends gather for the next one.',
    at: ['libs/store/jetstream/src/append-queue.ts'],
  },
  {
    service: 'store-gateway',
    queue: 'JetStream: single appends of a partition under way',
    key: 'store.singlesInFlightMax',
    gauge: 'eventmesh_store_commits_in_flight',
    full: 'The same.',
    at: ['libs/store/jetstream/src/append-queue.ts'],
  },
  {
    service: 'store-gateway',
    queue: 'bytes sent to a reader that it has not given back as credit',
    key: 'read.creditBytesMax',
    gauge: 'eventmesh_store_unread_bytes',
    full: 'Nothing is sent until it gives some back. A reader names its own bound; this is the greatest.',
    at: [`${GATEWAY}/read.ts`],
  },
  {
    service: 'store-gateway',
    queue: 'JetStream: bytes read ahead for a reader',
    key: 'read.creditBytesMax',
    gauge: 'eventmesh_store_read_ahead_bytes',
    full: 'Nothing is pulled until half of it is sent.',
    at: ['libs/store/jetstream/src/stream-pull.ts'],
  },
];

const CONTROLLING: readonly QueueRow[] = [
  {
    service: 'registry',
    queue: 'changes that a watching member has yet to be told',
    key: 'watch.historyMax',
    gauge: 'eventmesh_registry_watch_behind',
    full: 'It gets everything anew. At least so many are kept, at most twice as many.',
    at: [`${REGISTRY}/watch-hub.ts`],
  },
  {
    service: 'registry',
    queue: 'messages that wait for a neighbour to read them',
    key: 'exchange.queueMax',
    gauge: 'eventmesh_registry_exchange_waiting',
    full: 'The neighbour counts as down, and the exchange starts anew.',
    at: [`${REGISTRY}/peer-session.ts`],
  },
  {
    service: 'registry',
    queue: 'newer advertisements that wait to be written, the newest of each site',
    key: 'exchange.sitesMax',
    gauge: 'eventmesh_registry_link_state_unwritten',
    full: 'Those of further sites are refused and counted.',
    at: [`${REGISTRY}/link-state.ts`],
  },
  {
    service: 'acl',
    queue: 'passwords that are being hashed',
    key: 'password.hashingMax',
    gauge: 'eventmesh_acl_passwords_hashing',
    full: 'Further logins wait.',
    at: ['apps/acl/src/work-limit.ts', 'apps/acl/src/verified-passwords.ts'],
  },
  {
    service: 'acl',
    queue: 'logins that wait for their hash',
    key: 'password.waitingMax',
    gauge: 'eventmesh_acl_passwords_waiting',
    full: 'Further ones are refused as ResourceExhausted with a time to come back.',
    at: ['apps/acl/src/work-limit.ts', 'apps/acl/src/verified-passwords.ts'],
  },
  {
    service: 'acl',
    queue: 'audit entries on their way to governance',
    key: 'audit.spoolMax',
    gauge: 'eventmesh_audit_spool_entries',
    full: 'Further ones are only counted; their number goes into the audit when it is back.',
    at: ['libs/clients/src/governance-audit.ts'],
  },
  {
    service: 'governance',
    queue: 'audit entries that wait to be stored',
    key: 'audit.waitingMax',
    gauge: 'eventmesh_governance_audit_waiting',
    full: 'Further ones are refused as ResourceExhausted; their senders keep them and send them again.',
    at: ['apps/governance/src/audit-log.ts'],
  },
  {
    service: 'governance',
    queue: 'its own audit entries on their way there',
    key: 'audit.spoolMax',
    gauge: 'eventmesh_audit_spool_entries',
    full: 'Further ones are only counted; their number goes into the audit when it is back.',
    at: ['libs/clients/src/governance-audit.ts'],
  },
  {
    service: 'governance',
    queue: 'versions of the policy that a watching member has yet to be told',
    key: 'watch.historyMax',
    gauge: 'eventmesh_governance_watch_behind',
    full: 'It gets the whole policy.',
    at: ['apps/governance/src/policy-state.ts'],
  },
];

const HTTP_SERVING: readonly QueueRow[] = [
  {
    service: 'emesher',
    queue: 'connections to its HTTP server',
    key: 'http.connectionsMax',
    gauge: 'eventmesh_connections',
    full: 'The next one is closed at once and counted (`eventmesh_connections_refused_total`).',
    at: ['libs/telemetry/src/connections.ts'],
  },
  {
    service: 'emesher',
    queue: 'bytes of HTTP bodies that have come in part, of all requests together',
    key: 'http.unfinishedBytesMax',
    gauge: 'eventmesh_http_unfinished_bytes',
    full: 'The requests that have had the most for the longest are answered 429 (UNFINISHED_MESSAGES) with a time to come back.',
    at: ['libs/telemetry/src/message-budget.ts', 'libs/adapter/http/src/unfinished-bodies.ts'],
  },
];

/** What each service has. */
const EACH: readonly QueueRow[] = [
  'emesher',
  'store-gateway',
  'registry',
  'acl',
  'governance',
].flatMap((service) => [
  {
    service,
    queue: 'connections to its gRPC server',
    key: 'grpc.connectionsMax',
    gauge: 'eventmesh_connections',
    full: 'The next one is closed at once and counted (`eventmesh_connections_refused_total`).',
    at: ['libs/telemetry/src/connections.ts'],
  },
  {
    service,
    queue: 'bytes of gRPC messages that have come in part, of all calls together',
    key: 'grpc.unfinishedBytesMax',
    gauge: 'eventmesh_grpc_unfinished_bytes',
    full: 'The calls that have had the most for the longest are refused as ResourceExhausted (UNFINISHED_MESSAGES) with a time to come back.',
    at: ['libs/telemetry/src/message-budget.ts', 'libs/rpc/src/admission.ts'],
  },
  {
    service,
    queue: 'spans that wait for the collector',
    key: 'tracing.spansMax',
    gauge: 'eventmesh_spans_waiting',
    full: 'Further ones are dropped.',
    at: ['libs/telemetry/src/span-queue.ts'],
  },
]);

/** Every queue of the services. */
export const QUEUES: readonly QueueRow[] = [
  ...PUBLISHING,
  ...DELIVERING,
  ...BETWEEN,
  ...LOOKING_BACK,
  ...STORING,
  ...CONTROLLING,
  ...HTTP_SERVING,
  ...EACH,
];
