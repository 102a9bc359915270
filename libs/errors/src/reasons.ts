import type { MeshCode } from './codes.ts';

interface ReasonFacts {
  /** The one code it comes with. */
  readonly code: MeshCode;
  /** For users: what happened, and the way out. */
  readonly what: string;
}

/**
 * Every reason that the mesh gives, by the code it comes with. Programs compare the words, so one
 * that was released is never renamed. The first of each code is its default, for errors of which
 * there is nothing more to tell apart.
 */
export const REASONS = Object.freeze({
  INVALID_ARGUMENT: {
    code: 'InvalidArgument',
    what: 'An input is not valid; correct what `field` names and send it again.',
  },
  ATOMIC_ACROSS_PARTITIONS: {
    code: 'InvalidArgument',
    what: 'The events of an atomic batch fall into several partitions, or some are for later and some for now; give them one topic and `partitionkey`, and schedule all of them or none.',
  },
  ATOMIC_TOO_LARGE: {
    code: 'InvalidArgument',
    what: 'An atomic batch has more events than one append takes; send fewer at a time.',
  },
  DIRECT_CLASS: {
    code: 'InvalidArgument',
    what: 'The setting has no effect on a subscription of the direct class; leave it out, or make the subscription durable.',
  },
  EVENT_TYPE_NOT_IN_CATALOGUE: {
    code: 'InvalidArgument',
    what: 'The topic takes only the event types of its catalogue; publish one of those, or have this one added.',
  },
  EXPECTATION_FAILED: {
    code: 'InvalidArgument',
    what: 'The header `expect` asks for something other than `100-continue`; leave it out.',
  },
  FILTER_SQL_INVALID: {
    code: 'InvalidArgument',
    what: 'The expression of an `sql` filter is not CESQL, or goes beyond its limits; correct it at the character that the message names.',
  },
  HEADERS_TOO_LARGE: {
    code: 'InvalidArgument',
    what: 'The headers of the request are too many or too large; send fewer or smaller ones, such as attributes of the event.',
  },
  MALFORMED: {
    code: 'InvalidArgument',
    what: 'A message is not the protobuf that the call takes, has text that is not UTF-8, or cannot be decompressed; correct the client.',
  },
  METHOD_NOT_ALLOWED: {
    code: 'InvalidArgument',
    what: 'The path has no such HTTP method; use one of those that `limit` lists.',
  },
  NOT_ACCEPTABLE: {
    code: 'InvalidArgument',
    what: 'The header `accept` does not allow what the path answers, `text/event-stream`; allow it.',
  },
  PAGE_TOKEN: {
    code: 'InvalidArgument',
    what: 'The page token was not given by this list; begin again without it.',
  },
  REQUEST_TIMEOUT: {
    code: 'InvalidArgument',
    what: 'The HTTP request did not arrive whole in time; send it faster, or in smaller parts.',
  },
  SCHEMA: {
    code: 'InvalidArgument',
    what: 'The data does not fit the schema of its event type; correct the data, or register another version of the schema.',
  },
  START_IN_FUTURE: {
    code: 'InvalidArgument',
    what: 'A subscription or replay was to start at a time that has not come; start at latest, then.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    code: 'InvalidArgument',
    what: 'The path does not take bodies of this media type, charset or encoding; send it as the message says.',
  },

  UNAUTHENTICATED: {
    code: 'Unauthenticated',
    what: 'The credentials are wrong or no longer valid; send others.',
  },
  CREDENTIAL_EXPIRED: {
    code: 'Unauthenticated',
    what: 'The credential expired while it was in use; authenticate again with a new one.',
  },
  CREDENTIAL_MALFORMED: {
    code: 'Unauthenticated',
    what: 'The value of `authorization` is neither well-formed `Basic` nor `Bearer` credentials; correct it.',
  },
  CREDENTIAL_MISSING: {
    code: 'Unauthenticated',
    what: 'The call carries no `authorization`; send `Basic` or `Bearer` credentials.',
  },
  PRINCIPAL_ENDED: {
    code: 'Unauthenticated',
    what: 'The user or key was deleted, was disabled or has expired while it was in use; authenticate as another one.',
  },
  TOKEN: {
    code: 'Unauthenticated',
    what: 'The token that the services of a mesh show each other is missing or not the right one; give both services the same.',
  },

  PERMISSION_DENIED: {
    code: 'PermissionDenied',
    what: 'The caller has no right to do this; ask an administrator for it.',
  },
  NO_GRANT: {
    code: 'PermissionDenied',
    what: 'No policy grants the caller the action on the resource, which the message names; an administrator can grant it.',
  },

  NOT_FOUND: {
    code: 'NotFound',
    what: 'What `field` names is not there; it was never made, or was deleted.',
  },
  EVENT_NOT_FOUND: {
    code: 'NotFound',
    what: 'The event to start after is not in the store of this site; start at a position or a time.',
  },
  LEASE_NOT_FOUND: {
    code: 'NotFound',
    what: 'The lease of a member of the site has ended; it takes a new one and joins again by itself.',
  },
  LOG_NOT_FOUND: {
    code: 'NotFound',
    what: 'The store has no log of that name; create it first.',
  },
  REVISION_NOT_KEPT: {
    code: 'NotFound',
    what: 'The acl no longer keeps the grants of that revision, or does not know it yet; ask for a newer one, or a moment later.',
  },

  ALREADY_EXISTS: {
    code: 'AlreadyExists',
    what: 'There is one of that name; update it, or take another name.',
  },
  DUPLICATE_REQUEST: {
    code: 'AlreadyExists',
    what: 'A request with the same source and id was published before; give each request an id of its own.',
  },
  SUBSCRIPTION_DIFFERS: {
    code: 'AlreadyExists',
    what: 'The subscription exists with other settings, which the message names; update it, or take another name.',
  },

  FAILED_PRECONDITION: {
    code: 'FailedPrecondition',
    what: 'The present state does not allow it; change that first, as the message says.',
  },
  DURABILITY_WEAK: {
    code: 'FailedPrecondition',
    what: 'The store keeps less than `durability.required` of the store-gateway demands; use a stronger store, or demand less.',
  },
  EXCLUSIVE: {
    code: 'FailedPrecondition',
    what: 'The subscription is exclusive and has its one consumer; wait until that has left, or consume a shared one.',
  },
  FOLDER_IN_USE: {
    code: 'FailedPrecondition',
    what: 'Another process works in the data folder; stop it, or give each a folder of its own.',
  },
  LAST_ADMINISTRATOR: {
    code: 'FailedPrecondition',
    what: 'Nobody could administer the acl of the tenant after this change; first give the action admin on acl to another user, or to a key that does not expire.',
  },
  NOT_STORED: {
    code: 'FailedPrecondition',
    what: 'The subscription is of the direct class, whose events are never stored; only a durable one can be replayed.',
  },
  NO_INTEREST: {
    code: 'FailedPrecondition',
    what: 'Nobody in the known mesh subscribes to the topic of a request; start who is to answer it.',
  },
  PARTITIONS_SHRINK: {
    code: 'FailedPrecondition',
    what: 'The log has more partitions than wanted; their number may grow, never shrink.',
  },
  STORE_TOO_WEAK: {
    code: 'FailedPrecondition',
    what: 'The topic demands a durability that the store of the site does not have, or a direct event cannot have; use a stronger store, publish it as durable, or lower what the topic demands.',
  },
  UNKNOWN_FORMAT: {
    code: 'FailedPrecondition',
    what: 'The data folder was written by another version; start the version that wrote it.',
  },

  ABORTED: {
    code: 'Aborted',
    what: 'Somebody else changed the same meanwhile; read it anew and try again.',
  },
  EPOCH_ENDED: {
    code: 'Aborted',
    what: 'An ownership to be resumed was given up, or had another owner since; it is taken anew.',
  },
  FENCED: {
    code: 'Aborted',
    what: 'Another emesher of the site has taken over the subscription or the dead letters; reconnect, or try again.',
  },
  LINK_FENCED: {
    code: 'Aborted',
    what: 'Another emesher of the neighbour owns the link by now; the one that was refused asks the registry and goes on or stands by, nothing is to be done.',
  },
  OUT_OF_SEQUENCE: {
    code: 'Aborted',
    what: 'The sequence of a producer does not go on from its last one in the store; send again from there.',
  },
  OWNED: {
    code: 'Aborted',
    what: 'Another member of the site owns it; try again when its lease has ended, or use that one.',
  },
  PRODUCER_FENCED: {
    code: 'Aborted',
    what: 'A later start of the producer, with a greater epoch, has replaced this one; stop this one, or take a greater epoch.',
  },
  PRODUCER_INTERRUPTED: {
    code: 'Aborted',
    what: 'An earlier event of the producer was not stored; open a new stream and send again from that event.',
  },
  SEEK: {
    code: 'Aborted',
    what: 'The subscription was moved to another start; reconnect to read from there.',
  },
  SUBSCRIPTION_CHANGED: {
    code: 'Aborted',
    what: 'The subscription was updated; reconnect to consume it as it is now.',
  },
  WRITER_CONFLICT: {
    code: 'Aborted',
    what: 'Another writer has appended to the partition and nothing was stored; send it again.',
  },

  RESOURCE_EXHAUSTED: {
    code: 'ResourceExhausted',
    what: 'A bound is reached, which `limit` names; try again later, or with less.',
  },
  BROADCAST_CONSUMERS: {
    code: 'ResourceExhausted',
    what: 'The broadcast subscription knows as many consumers as it may; delete the parts of those that are gone for good.',
  },
  CONSUMER_STALLED: {
    code: 'ResourceExhausted',
    what: 'The consumer does not read what it is told of gaps and refused settles; read or pull more often, and reconnect.',
  },
  DEAD_LETTERS_SCATTERED: {
    code: 'ResourceExhausted',
    what: 'The dead letters that were redriven or purged lie in too many ranges; redrive or purge the oldest ones first.',
  },
  DISK_FULL: {
    code: 'ResourceExhausted',
    what: 'The store has no room left and stored nothing; make room on its disk, then send it again.',
  },
  QUOTA: {
    code: 'ResourceExhausted',
    what: 'A quota of the caller or its tenant is used up; wait as long as the error says, delete subscriptions that nobody needs, or have the quota raised.',
  },
  REPLAYS_MAX: {
    code: 'ResourceExhausted',
    what: 'There are as many replays and previews at a time as the emesher, or the tenant, may have; try again when one has ended.',
  },
  REQUESTS_MAX: {
    code: 'ResourceExhausted',
    what: 'As many requests wait for their replies as the emesher, or the tenant, may have; try again later.',
  },
  STORE_BUSY: {
    code: 'ResourceExhausted',
    what: 'More waits for the store than it takes at a time; nothing of this was stored, send it again later.',
  },
  TIMERS_FULL: {
    code: 'ResourceExhausted',
    what: 'As many scheduled events of the tenant wait as it may have; try again when some were delivered, or were cancelled.',
  },
  UNFINISHED_MESSAGES: {
    code: 'ResourceExhausted',
    what: 'Messages that have come only in part take all the memory there is for them, and this one had the most for the longest; send it again later, smaller, or fewer at a time.',
  },

  PAYLOAD_TOO_LARGE: {
    code: 'PayloadTooLarge',
    what: 'The event or the message has more bytes than `limit` allows; send a smaller one.',
  },

  DEADLINE_EXCEEDED: {
    code: 'DeadlineExceeded',
    what: 'There was no outcome in time, and it is not known whether anything was done; try again.',
  },
  FIRST_MESSAGE: {
    code: 'DeadlineExceeded',
    what: 'The first message of a call did not come whole in time; send it when the call is opened.',
  },
  NO_REPLY: {
    code: 'DeadlineExceeded',
    what: 'Nobody answered the request in its time; give it more, or see whether who is to answer works.',
  },

  CANCELLED: {
    code: 'Cancelled',
    what: 'The caller, or the end of its connection, stopped the call.',
  },
  REPLAY_STOPPED: {
    code: 'Cancelled',
    what: 'Somebody with the right to has stopped the replay; open another one when it is still wanted.',
  },

  UNAVAILABLE: {
    code: 'Unavailable',
    what: 'Something that the call needs does not answer now; try again.',
  },
  DRAINING: {
    code: 'Unavailable',
    what: 'The emesher is about to stop and takes nothing new; connect to another one, or try again.',
  },
  ISSUER_AWAY: {
    code: 'Unavailable',
    what: 'The acl cannot load the keys of the issuer of the token; try again when the issuer answers.',
  },
  NOT_STARTED: {
    code: 'Unavailable',
    what: 'A process of a local mesh did not start, or its sites did not join; see the log that the message names.',
  },
  NO_ANSWER: {
    code: 'Unavailable',
    what: 'JetStream did not answer in time, so the outcome is not known; try again, and see whether its servers have a majority.',
  },
  NO_CONNECTION: {
    code: 'Unavailable',
    what: 'The connection to JetStream is down and is being restored; try again, and see whether its servers run.',
  },
  NO_LEADER: {
    code: 'Unavailable',
    what: 'A stream of JetStream has no leader, so nothing was done; try again, and see whether its servers have a majority.',
  },
  NO_OWNER: {
    code: 'Unavailable',
    what: 'The emesher that owns it cannot be reached, and no other one has taken over yet; try again.',
  },
  NO_PEERS: {
    code: 'Unavailable',
    what: 'JetStream has not enough servers for the replicas that are wanted; start more of them, or want fewer replicas.',
  },
  OWNED_ELSEWHERE: {
    code: 'Unavailable',
    what: 'Another emesher of the site serves it, at the address that the message names; connect there.',
  },
  REPLICA_BEHIND: {
    code: 'Unavailable',
    what: 'A replica of JetStream does not have yet what its leader has; try again.',
  },
  STARTING: {
    code: 'Unavailable',
    what: 'The emesher has not started yet; try again in a moment.',
  },

  UNIMPLEMENTED: {
    code: 'Unimplemented',
    what: 'This version, or this store, cannot do it; the message says what to use instead where there is something.',
  },
  FILTER_DIALECT_UNKNOWN: {
    code: 'Unimplemented',
    what: 'The filter is of a dialect that is not known; use one of those that the message lists.',
  },

  DATA_LOSS: {
    code: 'DataLoss',
    what: 'What was stored is damaged or gone; restore it from a backup.',
  },
  BLOCK_DAMAGED: {
    code: 'DataLoss',
    what: 'A block of the embedded store fails its checksum; restore the data folder from a backup.',
  },
  FILE_CUT_OFF: {
    code: 'DataLoss',
    what: 'The file of the embedded store was cut off; restore the data folder from a backup, or remove it when nothing was ever stored there.',
  },
  FILE_DAMAGED: {
    code: 'DataLoss',
    what: 'The file of the embedded store is damaged; restore the data folder from a backup.',
  },
  FOREIGN_MESSAGE: {
    code: 'DataLoss',
    what: 'A stream of JetStream has a message that the mesh did not write; find out who writes to its streams, and restore the stream from a backup.',
  },
  LOG_MISSING: {
    code: 'DataLoss',
    what: 'The embedded store has records of a log that its list of logs lacks; restore the data folder from a backup.',
  },
  POSITION_MISSING: {
    code: 'DataLoss',
    what: 'Positions are missing in a partition that were not trimmed; restore the storage from a backup, or read on behind them.',
  },
  RECORDS_LOST: {
    code: 'DataLoss',
    what: 'JetStream has lost records that were acknowledged; restore the stream from a backup, or accept the loss as the message says.',
  },
  VALUE_DAMAGED: {
    code: 'DataLoss',
    what: 'A value that the store keeps for itself fails its checksum; restore the storage from a backup.',
  },

  INTERNAL: {
    code: 'Internal',
    what: 'Something went wrong that should not have; the log of the service has the cause.',
  },
} as const satisfies Record<string, ReasonFacts>);

export type Reason = keyof typeof REASONS;

/** Whether a word from elsewhere, such as a later version of the mesh, is a reason known here. */
export const isReason = (word: string): word is Reason => Object.hasOwn(REASONS, word);
