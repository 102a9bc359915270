import type { Figure, Measurement, Unit } from './figure.ts';
import { median } from './statistics.ts';

/** One figure over some runs; the line that `--json` prints. */
export interface Result {
  readonly name: string;
  readonly median: number;
  readonly unit: Unit;
  readonly runs: number;
  /** CPU of our own processes per 100,000 events; null when the figure is not about events. */
  readonly cpuSecondsPer100k: number | null;
  /** Median of the baseline's runs; null when it has none. */
  readonly baseline: number | null;
  /** Median of each run divided by the baseline run after it. */
  readonly ratio: number | null;
  readonly generatorCpuSecondsPer100k: number | null;
  readonly values: readonly number[];
  readonly baselines: readonly number[];
  /** Medians of what was measured beside, such as p99. */
  readonly beside: Readonly<Record<string, number>>;
}

/**
 * Runs a figure and its baseline in turn, so that whatever else the machine does meanwhile is felt
 * by both and the ratio holds.
 */
export async function runFigure(
  figure: Figure,
  runs: number,
  note: (text: string) => void,
): Promise<Result> {
  const bench = await figure.open();
  try {
    const measured: Measurement[] = [];
    const baselines: number[] = [];
    for (let run = 1; run <= runs; run++) {
      const measurement = await bench.run();
      measured.push(measurement);
      const baseline = await bench.baseline?.();
      if (baseline !== undefined) baselines.push(baseline);
      const against = baseline === undefined ? '' : `, baseline ${rounded(baseline)}`;
      note(`${figure.name} ${run}/${runs}: ${rounded(measurement.value)} ${figure.unit}${against}`);
    }
    return resultOf(figure, measured, baselines);
  } finally {
    await bench.close();
  }
}

function resultOf(
  { name, unit }: Figure,
  measured: readonly Measurement[],
  baselines: readonly number[],
): Result {
  const values = measured.map(({ value }) => value);
  const ratios = baselines.map((baseline, run) => (values[run] ?? Number.NaN) / baseline);
  const per100k = (seconds: (measurement: Measurement) => number): number | null => {
    const each = measured
      .filter(({ events }) => events > 0)
      .map((measurement) => (seconds(measurement) / measurement.events) * 100_000);
    return each.length === 0 ? null : rounded(median(each));
  };
  const beside: Record<string, number> = {};
  for (const key of Object.keys(measured[0]?.beside ?? {})) {
    beside[key] = rounded(median(measured.map((each) => each.beside?.[key] ?? Number.NaN)));
  }
  return {
    name,
    median: rounded(median(values)),
    unit,
    runs: measured.length,
    cpuSecondsPer100k: per100k(({ cpuSeconds }) => cpuSeconds),
    baseline: baselines.length === 0 ? null : rounded(median(baselines)),
    ratio: ratios.length === 0 ? null : rounded(median(ratios)),
    generatorCpuSecondsPer100k: per100k(({ generatorCpuSeconds }) => generatorCpuSeconds),
    values: values.map(rounded),
    baselines: baselines.map(rounded),
    beside,
  };
}

/** Three significant digits, and never less than whole numbers. */
export const rounded = (value: number): number =>
  value >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
