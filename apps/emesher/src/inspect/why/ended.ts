import type { EventStep } from '../journal.ts';
import type { Facts } from './facts.ts';
import { forbidden } from './ruled-out.ts';
import { verdict, type Verdict } from './verdict.ts';

/** The end that is remembered. */
export function ended(facts: Facts): Verdict | undefined {
  const { steps } = facts;
  const at = steps.findLastIndex(({ step }) => step !== 'delivered');
  const last = steps[at];
  if (last === undefined) return undefined;
  const deliveries = steps.slice(0, at).filter(({ step }) => step === 'delivered');
  const more = {
    attempts: deliveries.length,
    consumer: consumerOf(deliveries.at(-1)),
    timeUs: last.timeUs,
  };
  const { step, detail } = last;
  if (step === 'settled' && detail === 'accept') {
    return verdict('delivered', `accepted by ${more.consumer || 'a consumer'}`, more);
  }
  if (step === 'dead-lettered') {
    const cause = detail === '' ? 'given up' : detail;
    return verdict('dead-lettered', `${cause}; it was put among the dead letters`, more);
  }
  if (step === 'dropped') {
    return verdict('dropped', `given up, and not kept${detail === '' ? '' : `: ${detail}`}`, more);
  }
  if (step === 'expired') {
    const rest = detail === '' ? '' : `; ${detail}`;
    return verdict('expired', `its life ended before it was settled${rest}`, more);
  }
  return step === 'forbidden' ? { ...forbiddenThen(facts), ...more } : undefined;
}

/** It was seen at a delivery that the owner had no grant. */
function forbiddenThen(facts: Facts): Verdict {
  const { subscription, record, receives, past } = facts;
  const what = `grant to subscribe to "${record.topic}"`;
  const before =
    past?.received === true
      ? `, and had one when it was admitted (grants revision ${past.revision})`
      : '';
  const now = receives === true ? ', and has one now' : '';
  const reason = `${subscription.owner}, its owner, had no ${what} when its turn came${before}${now}`;
  return forbidden(facts) ?? verdict('forbidden', reason);
}

/** `to NAME`, as deliveries are noted. */
const consumerOf = (step: EventStep | undefined): string => step?.detail.replace(/^to /, '') ?? '';
