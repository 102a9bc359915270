import Table from 'cli-table3';

/** Where a command writes to, and in which form. Tests give one that collects. */
export interface Output {
  readonly json: boolean;
  /** A person may be watching: redraw and colour are fine. */
  readonly terminal: boolean;
  write(text: string): void;
  /** Remarks that are not the result, on standard error. */
  note(text: string): void;
}

export function standardOutput(json: boolean): Output {
  return {
    json,
    terminal: process.stdout.isTTY === true && !json,
    write: (text) => process.stdout.write(text),
    note: (text) => process.stderr.write(text),
  };
}

export type Cell = string | number | bigint | boolean | undefined;

/** A column: its title and what it shows of a row. */
export type Columns<T> = Readonly<Record<string, (row: T) => Cell>>;

/**
 * Prints rows as a table or as one JSON array of the rows as they are, so that scripts see more
 * than fits into columns.
 */
export function printRows<T>(
  output: Output,
  rows: readonly T[],
  columns: Columns<T>,
  empty = 'nothing',
): void {
  if (output.json) output.write(`${toJson(rows)}\n`);
  else if (rows.length === 0) output.write(`${empty}\n`);
  else output.write(`${tableText(rows, columns)}\n`);
}

/** Prints one thing: JSON, or a line for each of its fields. */
export function printFields(output: Output, fields: Readonly<Record<string, unknown>>): void {
  if (output.json) {
    output.write(`${toJson(fields)}\n`);
    return;
  }
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = typeof value === 'object' ? toJson(value) : String(value);
    output.write(`${name.padEnd(width)}  ${printable(text)}\n`);
  }
}

const PLAIN = {
  ...Object.fromEntries(
    ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left'].map(
      (name) => [name, ''],
    ),
  ),
  ...Object.fromEntries(
    ['bottom-right', 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'].map((name) => [
      name,
      '',
    ]),
  ),
  middle: '  ',
};

export function tableText<T>(rows: readonly T[], columns: Columns<T>): string {
  const titles = Object.keys(columns);
  const cells = rows.map((row) => titles.map((title) => columns[title]?.(row)));
  const numeric = titles.map((_, column) =>
    cells.every((line) => line[column] === undefined || isNumber(line[column])),
  );
  const table = new Table({
    head: titles,
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: numeric.map((yes) => (yes ? 'right' : 'left')),
  });
  for (const line of cells) {
    table.push(line.map((cell) => (cell === undefined ? '-' : printable(String(cell)))));
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const isNumber = (cell: Cell): boolean => typeof cell === 'number' || typeof cell === 'bigint';

/** JSON with big integers as numbers where they are exact, else as strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'bigint') return inner;
    return Number.isSafeInteger(Number(inner)) ? Number(inner) : inner.toString();
  });
}

/** Text from elsewhere, made harmless for a terminal: control characters become escapes. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\t\n]/gu, (control) => {
    return `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
