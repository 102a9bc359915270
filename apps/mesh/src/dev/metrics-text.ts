/** One sample of the Prometheus text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** The samples of a /metrics answer; what is no sample is passed over. */
export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, name = '', labelText = '', value = ''] = match;
    const labels: Record<string, string> = {};
    for (const [, label = '', raw = ''] of labelText.matchAll(LABEL)) labels[label] = unescape(raw);
    samples.push({ name, labels, value: Number(value) });
  }
  return samples;
}

const unescape = (raw: string): string =>
  raw.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));

/** The sum of a metric over all samples that have these labels. */
export function total(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  let sum = 0;
  for (const sample of samples) {
    if (sample.name !== name) continue;
    if (Object.entries(labels).every(([label, value]) => sample.labels[label] === value)) {
      sum += sample.value;
    }
  }
  return sum;
}

/** The values that a label has in a metric, sorted. */
export function labelValues(samples: readonly Sample[], name: string, label: string): string[] {
  const values = new Set<string>();
  for (const sample of samples) {
    const value = sample.labels[label];
    if (sample.name === name && value !== undefined) values.add(value);
  }
  return [...values].sort();
}
