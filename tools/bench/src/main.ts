/** The benchmarks: `npm run bench -- NAME… [--json] [--runs N] [--list] [--write-docs]`. */
import { Argument, Command, InvalidArgumentError } from 'commander';
import type { Figure } from './figure.ts';
import { FIGURES } from './figures.ts';
import { writeFigures } from './page.ts';
import { figureTable, resultTable } from './report.ts';
import { runFigure, type Result } from './run-figure.ts';

interface Options {
  readonly json: boolean;
  readonly runs: number;
  readonly list: boolean;
  readonly writeDocs: boolean;
}

function wholeRuns(text: string): number {
  const runs = Number(text);
  if (Number.isSafeInteger(runs) && runs >= 1 && runs <= 99) return runs;
  throw new InvalidArgumentError('is not a whole number from 1 to 99');
}

const named = (names: readonly string[]): readonly Figure[] =>
  names.length === 0 ? FIGURES : FIGURES.filter(({ name }) => names.includes(name));

async function bench(names: readonly string[], options: Options): Promise<void> {
  const figures = named(names);
  if (options.list) {
    process.stdout.write(`${figureTable(figures)}\n`);
    return;
  }
  const results: Result[] = [];
  for (const figure of figures) {
    try {
      const result = await runFigure(figure, options.runs, (text) => {
        process.stderr.write(`${text}\n`);
      });
      results.push(result);
      if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    } catch (error) {
      process.exitCode = 1;
      const why = error instanceof Error ? error.message : String(error);
      process.stderr.write(`${figure.name} has no figure: ${why}\n`);
    }
  }
  if (!options.json && results.length > 0) process.stdout.write(`\n${resultTable(results)}\n`);
  if (options.writeDocs) await writeFigures(results);
}

await new Command('bench')
  .description(
    'Measures the built system with a generator process of its own on this machine, 1 KiB events. ' +
      'Exit code 1 when a figure could not be measured.',
  )
  .addArgument(
    new Argument('[name...]', 'figures; all without a name').choices(
      FIGURES.map(({ name }) => name),
    ),
  )
  .option('--json', 'one JSON object a line for each figure', false)
  .option('--runs <n>', 'runs of each; the median counts', wholeRuns, 3)
  .option('--list', 'only say what there is', false)
  .option('--write-docs', 'put the figures into docs/performance.md', false)
  .action(bench)
  .parseAsync();
