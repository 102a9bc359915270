/**
 * What a store can do beyond the mandatory contract. Callers ask the set, never the class.
 */
export const STORE_CAPABILITIES = [
  /** `read` leaves records out by topic filter inside the store, before they cost a transfer. */
  'topic-filtered-read',
  /** `read` from a time finds its place without a scan. */
  'time-seek',
  /** Retention by age or bytes is enforced by the store itself. */
  'retention',
] as const;

export type StoreCapability = (typeof STORE_CAPABILITIES)[number];
