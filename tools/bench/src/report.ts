import type { Figure } from './figure.ts';
import type { Result } from './run-figure.ts';

export function figureTable(figures: readonly Figure[]): string {
  return columns([
    ['NAME', 'UNIT', 'WHAT', 'BASELINE'],
    ...figures.map(({ name, unit, what, baseline }) => [name, unit, what, baseline ?? '–']),
  ]);
}

export const RESULT_HEAD = [
  'name',
  'median',
  'unit',
  'runs',
  'CPU s/100k',
  'generator CPU s/100k',
  'baseline',
  'ratio',
  'beside',
] as const;

export function resultCells(result: Result): string[] {
  const { name, median, unit, runs, cpuSecondsPer100k, baseline, ratio } = result;
  const cells = [cpuSecondsPer100k, result.generatorCpuSecondsPer100k, baseline, ratio];
  const beside = Object.entries(result.beside).map(([name, value]) => `${name} ${grouped(value)}`);
  return [
    name,
    grouped(median),
    unit,
    String(runs),
    ...cells.map((cell) => (cell === null ? '–' : grouped(cell))),
    beside.length === 0 ? '–' : beside.join(', '),
  ];
}

export const resultTable = (results: readonly Result[]): string =>
  columns([RESULT_HEAD.map((cell) => cell.toUpperCase()), ...results.map(resultCells)]);

const grouped = (value: number): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: 3 });

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
