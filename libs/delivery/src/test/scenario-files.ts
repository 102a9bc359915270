/**
 * `node libs/delivery/src/test/scenario-files.ts` writes the transcripts anew, as the engine behaves
 * now. Read the difference: a changed line is a changed promise.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transcript } from './scenario.ts';

const FOLDER = join(import.meta.dirname, '../../scenarios');

/** The scenarios, by file name. */
export function scenarios(): ReadonlyMap<string, string> {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.txt'));
  return new Map(names.map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')]));
}

if (import.meta.main) {
  for (const [name, text] of scenarios()) writeFileSync(join(FOLDER, name), transcript(text));
}
