/** What a store really did before its receipt, weakest first. */
export const DURABILITY_CLASSES = [
  'memory',
  'page-cache',
  'fsync',
  'quorum-memory',
  'quorum-fsync',
] as const;

export type DurabilityClass = (typeof DURABILITY_CLASSES)[number];

/** Whether a class is as strong as another one, or stronger. */
export function atLeast(have: DurabilityClass, want: DurabilityClass): boolean {
  return DURABILITY_CLASSES.indexOf(have) >= DURABILITY_CLASSES.indexOf(want);
}
