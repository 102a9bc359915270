/** Judges history files: `node tools/checker/src/main.ts FILE... [--json] [--duplicates-max N]`. */
import { parseArgs } from 'node:util';
import { MeshError } from '@eventmesh/errors';
import { HistoryChecker } from './history-checker.ts';
import { readHistory } from './history-file.ts';
import { reportText } from './report.ts';

const USAGE = `usage: checker FILE... [--json] [--duplicates-max N]

Reads histories (one JSON object a line), merges them by time and judges them.
Exit codes: 0 nothing wrong, 1 a defect was found, 64 bad usage or a malformed history.
`;

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      'duplicates-max': { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  });
  const duplicatesMax = Number(values['duplicates-max']);
  if (!Number.isSafeInteger(duplicatesMax) || duplicatesMax < 0) {
    throw new Error('--duplicates-max: is not a whole number from 0');
  }
  return { files: positionals, json: values.json, help: values.help, duplicatesMax };
}

async function main(): Promise<number> {
  const { files, json, help, duplicatesMax } = options();
  if (help || files.length === 0) {
    process[help ? 'stdout' : 'stderr'].write(USAGE);
    return help ? 0 : 64;
  }
  const checker = new HistoryChecker({ duplicatesMax });
  for await (const line of readHistory(files)) checker.add(line);
  const report = checker.report();
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : reportText(report));
  return report.verdict === 'pass' ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const text = error instanceof MeshError || error instanceof Error ? error.message : String(error);
  process.stderr.write(`checker: ${text}\n`);
  process.exitCode = 64;
}
