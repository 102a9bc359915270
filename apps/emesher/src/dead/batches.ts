import { invalid } from '@eventmesh/errors';
import type { DeadLetterSelection } from '@eventmesh/adapter-api';
import { readPageToken, writePageToken } from '@eventmesh/rpc';
import type { DeadLog, ReadLetters } from './dead-log.ts';
import type { Letter, StoredLetter } from './letter.ts';

/** Chosen letters, and how far the log was read for them. */
export interface Batch {
  readonly letters: readonly StoredLetter[];
  readonly upTo: number;
}

export interface BatchLimits {
  readonly letters: number;
  readonly bytes: number;
}

/** Letters read for one batch; a batch of what is rare in the log comes short, or empty. */
const SCANNED_MAX = 5000;

/** Reads the log in batches of what is chosen: memory is bounded by one batch. */
export async function* batches(
  log: DeadLog,
  tenant: string,
  read: ReadLetters,
  choose: (letter: Letter) => boolean,
  limits: BatchLimits,
): AsyncGenerator<Batch> {
  let letters: StoredLetter[] = [];
  let bytes = 0;
  let scanned = 0;
  let upTo = read.from - 1;
  for await (const stored of log.letters(tenant, read)) {
    const { id } = stored.letter;
    const chosen = choose(stored.letter);
    if (chosen && letters.length > 0 && bytes + stored.size > limits.bytes) {
      yield { letters, upTo };
      letters = [];
      bytes = scanned = 0;
    }
    upTo = id;
    scanned++;
    if (chosen) {
      letters.push(stored);
      bytes += stored.size;
    }
    if (letters.length < limits.letters && scanned < SCANNED_MAX) continue;
    yield { letters, upTo };
    letters = [];
    bytes = scanned = 0;
  }
  yield { letters, upTo: read.upTo };
}

/** What tokens are of: positions mean the same for every selection of letters. */
const SCOPE = 'dead letters';

/** Where work on the log goes on: `NEXT-LAST`, both of them positions. */
export function readToken(token: string, last: number): { from: number; upTo: number } {
  const place = readPageToken(SCOPE, token, 'token');
  if (place === undefined) return { from: 1, upTo: last };
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(place);
  if (match === null) throw invalid('token', 'is not one that an earlier call gave');
  return { from: Number(match[1]), upTo: Math.min(last, Number(match[2])) };
}

/** Empty when there is nothing behind `upTo`. */
export const writeToken = (upTo: number, last: number): string =>
  upTo >= last ? '' : writePageToken(SCOPE, `${upTo + 1}-${last}`);

/** Which part of the log a selection needs read. */
export function readOf({ ids }: DeadLetterSelection): { readonly ids?: readonly number[] } {
  return ids === undefined ? {} : { ids: [...new Set(ids)].sort((a, b) => a - b) };
}
