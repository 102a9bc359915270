import type { SettleOutcome } from './mesh-port.ts';

/** Characters of a reason that are kept with the dead letter. */
export const REJECT_REASON_MAX = 256;

/** What a consumer means that rejects a delivery, by one rule for all protocols: it may say why. */
export const rejection = (reason: string | undefined): SettleOutcome => ({
  kind: 'reject',
  reason: (reason ?? '').slice(0, REJECT_REASON_MAX) || 'rejected',
});
