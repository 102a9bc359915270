/** A file with a function longer than the rule allows. */
export interface RatchetEntry {
  readonly file: string;
  /** The length of its longest function; lower it when the function shrinks, never raise it. */
  readonly lines: number;
}

export const RATCHET: readonly RatchetEntry[] = [{ file: 'apps/governance/src/app.ts', lines: 84 }];
