import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { configRows, type ConfigRow } from '@eventmesh/config';
import type { MetricDefinition } from '@eventmesh/telemetry';
import { configurations } from './configuration.ts';
import { WORKSPACE } from './load.ts';
import { code, page, table } from './markdown.ts';
import { metricDefinitions } from './metrics.ts';
import { QUEUES, type QueueRow } from './queue-table.ts';

const ABOUT = `Everything that producers fill and consumers empty has a bound that is a key of the
configuration, a gauge that tells how full it is, and one thing that happens when it is full. Most
gauges tell the fullest of all queues of a kind, which is the one that comes to the bound first; those with
labels are told apart. They are read at each scrape and cost nothing in between.

A queue that lives in a library is bounded by the key of the service that uses it. Caches and the limits
of formats are no queues and are not listed. What the kernel, HTTP/2 and the runtime buffer is bounded by
their windows (1 MiB a stream).`;

/** What the rows are checked against. */
export interface Declared {
  /** By service and key. */
  readonly keys: ReadonlyMap<string, ReadonlyMap<string, ConfigRow>>;
  readonly metrics: readonly MetricDefinition[];
}

export async function declared(): Promise<Declared> {
  const keys = new Map(
    [...(await configurations())].map(([service, spec]) => [
      service,
      new Map(configRows(spec).map((row) => [row.key, row])),
    ]),
  );
  const metrics = [...(await metricDefinitions()).values()].flat();
  return { keys, metrics };
}

/** What is wrong with the rows, a line each; none when all is as they say. */
export function queueProblems(rows: readonly QueueRow[], { keys, metrics }: Declared): string[] {
  const gauges = new Set(metrics.filter(({ kind }) => kind === 'gauge').map(({ name }) => name));
  const problems: string[] = [];
  for (const { service, queue, key, gauge, full, at } of rows) {
    const where = `${service}, "${queue}"`;
    const row = keys.get(service)?.get(key);
    if (row === undefined) problems.push(`${where}: ${service} has no key ${key}`);
    else if (!['number', 'size'].includes(row.kind)) {
      problems.push(`${where}: ${key} is no number that could be a bound`);
    }
    if (!gauges.has(gauge)) problems.push(`${where}: there is no gauge ${gauge}`);
    if (full === '') problems.push(`${where}: it does not say what happens when it is full`);
    if (at.length === 0) problems.push(`${where}: it does not say where it is`);
    for (const path of at) {
      if (!existsSync(join(WORKSPACE, path))) problems.push(`${where}: there is no ${path}`);
    }
  }
  const told = new Set(rows.map(({ gauge }) => gauge));
  for (const { name, queue } of metrics) {
    if (queue === true && !told.has(name)) problems.push(`the gauge ${name} is of no queue here`);
  }
  return problems;
}

export async function queuesPage(): Promise<string> {
  const known = await declared();
  const problems = queueProblems(QUEUES, known);
  if (problems.length > 0) throw new Error(`queue-table.ts is wrong:\n${problems.join('\n')}`);
  const sections = [...Map.groupBy(QUEUES, ({ service }) => service)].flatMap(([service, rows]) => [
    `## ${service}`,
    table(
      ['queue', 'bound', 'default', 'gauge', 'when it is full'],
      rows.map(({ queue, key, gauge, full }) => {
        const bound = known.keys.get(service)?.get(key)?.default ?? '';
        return [queue, code(key), bound.replaceAll('"', ''), code(gauge), full];
      }),
    ),
  ]);
  return page('Queues', ABOUT, sections);
}
