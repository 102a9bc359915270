import { describe, expect, it } from '@jest/globals';
import { commandCheck } from './checks/check.ts';
import { runChecks } from './run-checks.ts';

describe('runChecks', () => {
  it('runs every check, shows what is wrong and names those that failed', async () => {
    let printed = '';
    const failed = await runChecks(
      [
        { name: 'bad', run: () => Promise.resolve(['first\nsecond line', 'other']) },
        { name: 'broken', run: () => Promise.reject(new Error('no such file')) },
        { name: 'good', run: () => Promise.resolve([]) },
        commandCheck('command', process.execPath, '-e', 'console.log("out"); process.exit(3)'),
        commandCheck('fine', process.execPath, '-e', ''),
      ],
      (text) => (printed += text),
    );
    expect(failed).toEqual(['bad', 'broken', 'command']);
    expect(printed).toMatch(/^FAILED bad \(\d\.\d s\)\n {2}first\n {2}second line\n {2}other\n/);
    expect(printed).toContain('the check itself failed: Error: no such file');
    expect(printed).toMatch(/\nok {5}good/);
    expect(printed).toMatch(/FAILED command[^]*out\n/);
  });
});
