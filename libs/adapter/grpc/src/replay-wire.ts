import type { Gap, ReplayOptions, ReplayPreview, ReplayStatus } from '@eventmesh/adapter-api';
import { checkReplay } from '@eventmesh/delivery';
import { invalid } from '@eventmesh/errors';
import type { Replay } from '@eventmesh/proto-gen/subscriber';
import { startFromProto } from '@eventmesh/wire';

/** @throws MeshError InvalidArgument that names the field, also for what no number can hold. */
export function toReplayOptions(replay: Replay): ReplayOptions {
  if (replay.from?.from.case === undefined) {
    throw invalid('replay.from', 'is missing; say where to begin');
  }
  return checkReplay({
    from: startFromProto(replay.from),
    toMs: Number(replay.toMs),
    rateMax: replay.rateMax,
    expired: replay.expired,
  });
}

export const fromPreview = (preview: ReplayPreview) => ({
  events: BigInt(preview.events),
  bytes: BigInt(preview.bytes),
  considered: BigInt(preview.considered),
  expired: BigInt(preview.expired),
  gaps: preview.gaps.map(gapToProto),
});

export const fromReplayStatus = (status: ReplayStatus) => ({
  ...status,
  delivered: BigInt(status.delivered),
  filtered: BigInt(status.filtered),
  dropped: BigInt(status.dropped),
  expired: BigInt(status.expired),
  lag: BigInt(status.lag),
  startedMs: BigInt(status.startedMs),
});

const GONE = 'no longer in the store';

export const gapToProto = (gap: Gap) => ({
  partition: gap.partition,
  fromPosition: BigInt(gap.from),
  toPosition: BigInt(gap.to),
  reason: gap.reason ?? GONE,
});
