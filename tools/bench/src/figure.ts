/** What one run gave. */
export interface Measurement {
  /** In the figure's unit. */
  readonly value: number;
  /** Events of the timed part; 0 when the figure is not about events. */
  readonly events: number;
  /** CPU seconds of the mesh's own processes in the timed part, by the system's accounting. */
  readonly cpuSeconds: number;
  /** CPU seconds of the generator in the timed part. */
  readonly generatorCpuSeconds: number;
  /** Further numbers of the run by name, such as `p99`; their medians are reported beside. */
  readonly beside?: Readonly<Record<string, number>>;
}

/** A figure made ready to run: the system is up and the generator's part is known. */
export interface Bench {
  run(): Promise<Measurement>;
  /** What the figure is held against, in the figure's unit. */
  baseline?(): Promise<number>;
  close(): Promise<void>;
}

export type Unit = 'events/s' | 'evaluations/s' | 'µs' | 'ms' | 's' | 'MiB';

export interface Figure {
  readonly name: string;
  /** One line for `--list` and the figures page. */
  readonly what: string;
  readonly unit: Unit;
  readonly baseline: string | undefined;
  /** Starts what the figure needs. @throws Error that names what is missing. */
  open(): Promise<Bench>;
}
