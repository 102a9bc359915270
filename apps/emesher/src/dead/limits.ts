import type { GovernanceView } from '@eventmesh/clients';
import type { DataPlaneConfig } from '../config.ts';

/** What the dead letters of a tenant may take at this site. */
export interface DeadLimits {
  /** Stored bytes; at the limit nothing is given up. */
  readonly bytesMax: number;
  /** From so many bytes on the alarm is raised. */
  readonly alarmBytes: number;
  /** Age at which letters are dropped; 0 keeps them. */
  readonly retentionMs: number;
}

/** @throws MeshError Unavailable before the first policy. */
export type DeadLimitsOf = (tenant: string) => DeadLimits;

/** What governance says of a tenant goes before the configuration, each part by itself. */
export function deadLimits(
  config: DataPlaneConfig['deadLetters'],
  policies: Pick<GovernanceView, 'deadLetterQuota'>,
): DeadLimitsOf {
  return (tenant) => {
    const quota = policies.deadLetterQuota(tenant);
    const bytesMax = Number(quota?.bytesMax ?? 0n) || config.bytesMax;
    const percent = (quota?.alarmPercent ?? 0) || config.alarmPercent;
    return {
      bytesMax,
      alarmBytes: Math.ceil((bytesMax * percent) / 100),
      retentionMs: Number(quota?.retentionMs ?? config.retention),
    };
  };
}
