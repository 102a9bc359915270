/** What jest writes with `--json`, as far as it is read here. */
export interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests?: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
    }[];
  }[];
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** One line for each test and each file that failed. */
  readonly failures: readonly string[];
}

/** Adds up the reports of all projects. A project without a report counts as one failure. */
export function addUp(reports: ReadonlyMap<string, JestReport | undefined>): Totals {
  const totals = { passed: 0, failed: 0, skipped: 0, failures: [] as string[] };
  for (const [project, report] of reports) {
    if (report === undefined) {
      totals.failed += 1;
      totals.failures.push(`${project}: its tests ended without a report; see its output above`);
      continue;
    }
    totals.passed += report.numPassedTests;
    totals.failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
    totals.skipped += report.numPendingTests + (report.numTodoTests ?? 0);
    for (const file of report.testResults) totals.failures.push(...failuresOf(project, file));
  }
  return totals;
}

function failuresOf(project: string, file: JestReport['testResults'][number]): string[] {
  const failed = file.assertionResults.filter(({ status }) => status === 'failed');
  if (failed.length > 0) return failed.map(({ fullName }) => `${project}: ${fullName}`);
  const broken = file.assertionResults.length === 0 && (file.message ?? '') !== '';
  return broken ? [`${project}: ${file.name} could not be run`] : [];
}

/** The closing line of `npm test`. */
export function closingLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
