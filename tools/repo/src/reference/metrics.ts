import type { MetricDefinition } from '@eventmesh/telemetry';
import { findSources, load } from './load.ts';
import { code, page, table } from './markdown.ts';

const ABOUT = `Every service answers \`/metrics\` on its admin port in the Prometheus text format.
Besides these there are \`process_*\` and \`nodejs_*\` of the process itself, the delay of the event
loop among them.`;

/** Every metric definition that a `metrics.ts` of an app or library exports, by its folder. */
export async function metricDefinitions(): Promise<Map<string, MetricDefinition[]>> {
  const found = new Map<string, MetricDefinition[]>();
  for (const path of findSources('metrics.ts')) {
    const definitions = Object.values(await load(path)).flatMap(definitionsIn);
    if (definitions.length > 0) found.set(path.replace(/\/src\/metrics\.ts$/, ''), definitions);
  }
  return found;
}

function definitionsIn(exported: unknown): MetricDefinition[] {
  if (typeof exported !== 'object' || exported === null) return [];
  return Object.values(exported).filter(isDefinition);
}

function isDefinition(value: unknown): value is MetricDefinition {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, name, help, labels } = value as Partial<MetricDefinition>;
  return (
    ['counter', 'gauge', 'histogram'].includes(kind ?? '') &&
    typeof name === 'string' &&
    typeof help === 'string' &&
    Array.isArray(labels)
  );
}

export async function metricsPage(): Promise<string> {
  const sections: string[] = [];
  for (const [project, definitions] of await metricDefinitions()) {
    const rows = definitions.map(({ name, kind, labels, help }) => [
      code(name),
      kind,
      labels.map(code).join(' '),
      help,
    ]);
    sections.push(`## ${project}`, table(['metric', 'kind', 'labels', 'what'], rows));
  }
  return page('Metrics', ABOUT, sections);
}
