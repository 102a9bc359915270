import { hasExpired } from '@eventmesh/event';
import { ended } from './ended.ts';
import type { Facts } from './facts.ts';
import { ruledOut } from './ruled-out.ts';
import { stands } from './stands.ts';
import { verdict, type Verdict } from './verdict.ts';

/**
 * The answer from the facts, the surest first: where the event stands while it is not settled, what
 * was seen to happen, what rules it out by the subscription as it is now.
 */
export function explain(facts: Facts): Verdict {
  const past = ended(facts);
  const open = stands(facts);
  if (open === undefined) return past ?? ruledOut(facts) ?? unseen(facts);
  // It comes again, though it was done with: the subscription was moved back.
  return past === undefined ? open : { ...open, reason: `${open.reason}; earlier: ${past.reason}` };
}

/** Nothing rules it out, and nothing is remembered of it. */
function unseen({ record: { expiryMs }, nowMs, steps, receives, past }: Facts): Verdict {
  const attempts = steps.filter(({ step }) => step === 'delivered').length;
  if (attempts === 0 && hasExpired(expiryMs, nowMs)) {
    const more = { timeUs: expiryMs * 1000 };
    return verdict('expired', 'its life ended before it could be delivered', more);
  }
  if (past?.received === true && receives === false) {
    const then = `had the grant when it was admitted (grants revision ${past.revision})`;
    const reason = `settled, or passed over since; how is no longer remembered: its owner ${then}, and has none now`;
    return verdict('settled', reason, { attempts });
  }
  return verdict('settled', 'settled; how is no longer remembered, it would match now', {
    attempts,
  });
}
