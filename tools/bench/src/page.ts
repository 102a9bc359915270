import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { format, resolveConfig } from 'prettier';
import { FIGURES } from './figures.ts';
import { RESULT_HEAD, resultCells } from './report.ts';
import type { Result } from './run-figure.ts';

const PAGE = new URL('../../../docs/performance.md', import.meta.url);
const BEGIN = '<!-- figures: written by `npm run bench -- --write-docs` -->';
const END = '<!-- end of figures -->';

/** Puts the figures into the page; rows of figures that were not run stay as they are. */
export async function writeFigures(results: readonly Result[]): Promise<void> {
  const page = readFileSync(PAGE, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${PAGE.pathname} has lost its marks`);
  const fresh = results.map((result) => tableRow([...resultCells(result), conditions()]));
  const rows = new Map(
    [...tableRows(page.slice(begin, end)), ...fresh].map((row) => [rowName(row), row] as const),
  );
  const ordered = FIGURES.flatMap(({ name }) => rows.get(name) ?? []);
  const head = [...RESULT_HEAD, 'measured'];
  const table = [tableRow(head), tableRow(head.map(() => '---')), ...ordered].join('\n');
  const whole = `${page.slice(0, begin)}${BEGIN}\n\n${table}\n\n${page.slice(end)}`;
  const style = await resolveConfig(PAGE.pathname);
  writeFileSync(PAGE, await format(whole, { ...style, parser: 'markdown' }));
}

/** Date, versions and machine of a row. */
function conditions(): string {
  const [cpu] = cpus();
  const gib = Math.round(totalmem() / 1024 ** 3);
  return [
    new Date().toISOString().slice(0, 10),
    `Node ${process.versions.node}`,
    `${type()} ${release()}`,
    `${cpus().length} × ${cpu?.model ?? 'unknown CPU'}, ${gib} GiB`,
  ].join('; ');
}

const tableRow = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** The rows below the head of a table of ours. */
const tableRows = (text: string): string[] =>
  text.split('\n').filter((line) => FIGURES.some(({ name }) => rowName(line) === name));

const rowName = (row: string): string => row.split('|')[1]?.trim() ?? '';
