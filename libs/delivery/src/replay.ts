import { invalid } from '@eventmesh/errors';
import { checkStart, type Start } from './subscription.ts';

/** Fastest pace that may be asked for, in events a second. */
export const REPLAY_RATE_MAX = 1_000_000;

/** The last moment that a Date can hold. */
const TIME_MS_MAX = 8_640_000_000_000_000;

/** A lane through a subscription's past, beside its live deliveries. */
export interface ReplayOptions {
  readonly from: Start;
  /** Up to events stored before this, ms since the epoch; 0: what is stored when the lane opens. */
  readonly toMs: number;
  /** Events a second at most; 0: as fast as credit allows. At most 1,000,000. */
  readonly rateMax: number;
  /** Deliver events whose life has ended, too; otherwise they are skipped and counted. */
  readonly expired: boolean;
}

/** @throws MeshError InvalidArgument that names the field (`replay.…`) and the limit. */
export function checkReplay(options: ReplayOptions): ReplayOptions {
  checkStart(options.from);
  checkWhole('replay.toMs', options.toMs, TIME_MS_MAX);
  checkWhole('replay.rateMax', options.rateMax, REPLAY_RATE_MAX);
  return options;
}

function checkWhole(field: string, value: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return;
  throw invalid(field, `${value} is out of bounds`, { limit: `0 to ${max}` });
}
