import { describe, expect, it } from '@jest/globals';
import { addUp, closingLine, type JestReport } from './test-totals.ts';

const report = (passed: number, parts: Partial<JestReport> = {}): JestReport => ({
  numPassedTests: passed,
  numFailedTests: 0,
  numPendingTests: 0,
  numRuntimeErrorTestSuites: 0,
  testResults: [],
  ...parts,
});

describe('the totals of npm test', () => {
  it('add up projects and name every failed test, unrunnable file and lost project', () => {
    const totals = addUp(
      new Map([
        ['good', report(5)],
        [
          'bad',
          report(2, {
            numFailedTests: 1,
            numRuntimeErrorTestSuites: 1,
            numPendingTests: 1,
            testResults: [
              {
                name: 'a.spec.ts',
                assertionResults: [
                  { status: 'passed', fullName: 'works' },
                  { status: 'failed', fullName: 'breaks' },
                ],
              },
              { name: 'b.spec.ts', message: 'SyntaxError', assertionResults: [] },
            ],
          }),
        ],
        ['lost', undefined],
      ]),
    );
    expect(closingLine(totals)).toBe('7 passed, 3 failed, 1 skipped');
    expect(totals.failures).toEqual([
      'bad: breaks',
      'bad: b.spec.ts could not be run',
      'lost: its tests ended without a report; see its output above',
    ]);
  });

  it('close with passed and failed alone when nothing was skipped', () => {
    expect(closingLine(addUp(new Map([['good', report(5)]])))).toBe('5 passed, 0 failed');
  });
});
