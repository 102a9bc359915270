import type { Check } from './checks/check.ts';

/**
 * Runs all checks, also after one failed, with one line for each. What fails is shown in full after
 * its line.
 * @returns the names of those that failed
 */
export async function runChecks(
  checks: readonly Check[],
  print: (text: string) => void,
): Promise<string[]> {
  const failed: string[] = [];
  for (const check of checks) {
    const started = performance.now();
    const problems = await problemsOf(check);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const verdict = problems.length === 0 ? 'ok' : 'FAILED';
    print(`${verdict.padEnd(6)} ${check.name} (${seconds} s)\n`);
    if (problems.length === 0) continue;
    failed.push(check.name);
    for (const problem of problems) print(`  ${problem.replaceAll('\n', '\n  ')}\n`);
  }
  return failed;
}

/** A check that breaks has not passed. */
async function problemsOf(check: Check): Promise<string[]> {
  try {
    return await check.run();
  } catch (error) {
    return [`the check itself failed: ${String((error as Error).stack ?? error)}`];
  }
}
