import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { MeshError } from '@eventmesh/errors';
import { parseHistoryLine, type HistoryLine } from './history.ts';

/**
 * Appends lines to a history file. Each is handed to the system before `write` returns, so that a
 * kill of the writer loses none that it acted on.
 */
export class HistoryWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a', 0o644);
  }

  write(...lines: readonly HistoryLine[]): void {
    if (lines.length === 0) return;
    writeSync(this.#file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  close(): void {
    closeSync(this.#file);
  }
}

/**
 * Reads history files as one history, merged by time; each file is in order by itself. A last line
 * that a killed writer left incomplete is passed over.
 *
 * @throws MeshError InvalidArgument naming file and line, or NotFound.
 */
export async function* readHistory(paths: readonly string[]): AsyncGenerator<HistoryLine> {
  const sources = await Promise.all(
    paths.map(async (path) => {
      const lines = readFile(path);
      return { lines, head: await lines.next() };
    }),
  );
  for (;;) {
    let first: (typeof sources)[number] | undefined;
    for (const source of sources) {
      if (source.head.done === true) continue;
      if (first === undefined || source.head.value.t < timeOf(first.head)) first = source;
    }
    if (first === undefined) return;
    yield first.head.value as HistoryLine;
    first.head = await first.lines.next();
  }
}

const timeOf = (head: IteratorResult<HistoryLine>): number =>
  head.done === true ? Number.POSITIVE_INFINITY : head.value.t;

async function* readFile(path: string): AsyncGenerator<HistoryLine, undefined> {
  const stream = createReadStream(path, 'utf8');
  let number = 0;
  let previous: string | undefined;
  let complete = true;
  stream.on('data', (chunk) => {
    complete = String(chunk).endsWith('\n');
  });
  try {
    for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
      if (previous !== undefined) yield parseHistoryLine(previous, `${path}:${number}`);
      previous = text;
      number++;
    }
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
    throw new MeshError('NotFound', `${path} does not exist`, { field: path }, error);
  }
  if (previous !== undefined && complete) yield parseHistoryLine(previous, `${path}:${number}`);
  return undefined;
}
