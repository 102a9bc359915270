/**
 * `npm run check [NAME…]`: all checks, or those whose name contains one of the words. Exits 1 when any
 * failed, after running all of them.
 */
import { CHECKS } from './checks/all.ts';
import { runChecks } from './run-checks.ts';

const words = process.argv.slice(2);
const chosen = CHECKS.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
);
if (chosen.length === 0) {
  process.stderr.write(
    `no check is called so; there are: ${CHECKS.map((c) => c.name).join(', ')}\n`,
  );
  process.exit(64);
}
const failed = await runChecks(chosen, (text) => process.stdout.write(text));
if (failed.length > 0) {
  process.stdout.write(`failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
