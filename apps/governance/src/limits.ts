/** Most entries of each kind that a tenant may have. */
export const ENTRIES_PER_TENANT_MAX = 10_000;
/** Bytes of all entries of a tenant. */
export const TENANT_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of the whole policy: members get it in one message, which may have 16 MiB. */
export const POLICY_BYTES_MAX = 12 * 1024 * 1024;
/** Most event types that one topic may name. */
export const TOPIC_EVENT_TYPES_MAX = 1000;
/** Longest CloudEvents `type`, in bytes. */
export const TYPE_BYTES_MAX = 256;
export const DESCRIPTION_BYTES_MAX = 4096;
/** Data of the event of a schedule, in bytes. */
export const SCHEDULE_DATA_BYTES_MAX = 64 * 1024;
/** Attributes of the event of a schedule. */
export const SCHEDULE_ATTRIBUTES_MAX = 32;
/** Times that one preview tells. */
export const PREVIEW_TIMES_MAX = 100;
/** Least quota of the dead letters of a tenant, in stored bytes. */
export const DEAD_LETTER_BYTES_MIN = 64 * 1024;
