/** Writes the generated pages of docs, or with `--check` says which pages are not true any more. */
import { staleReference, writeReference } from './pages.ts';

const check = process.argv.includes('--check');
const pages = await (check ? staleReference() : writeReference());
for (const path of pages) process.stdout.write(`${path} ${check ? 'is stale' : 'written'}\n`);
if (check && pages.length > 0) {
  process.stdout.write('run `npm run generate`\n');
  process.exitCode = 1;
}
