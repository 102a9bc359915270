import type { WhyAnswer } from '@eventmesh/adapter-api';
import type { Copy } from '../find-event.ts';
import type { EventStep } from '../journal.ts';
import type { OnLink } from '../memory.ts';
import { answerOf } from './answers.ts';

export interface LinkDeps {
  readonly site: string;
  readonly nextHop: (site: string) => string | undefined;
}

/**
 * How far an event has come on each link that leads to one of its destinations.
 *
 * @param steps Of this event, oldest first.
 */
export function linkAnswers(
  { site, nextHop }: LinkDeps,
  { record, partition, position, source, topic }: Copy,
  steps: readonly EventStep[],
  links: readonly OnLink[],
): WhyAnswer[] {
  const behind = new Map<string | undefined, string[]>();
  for (const destination of record?.destinations ?? []) {
    const hop = nextHop(destination);
    behind.set(hop, [...(behind.get(hop) ?? []), destination]);
  }
  return [...behind].map(([hop, destinations]) => {
    const known = { site, source, topic, partition, position };
    const to = destinations.join(', ');
    if (hop === undefined) {
      const reason = `there is no route to ${to} now; it is kept for when there is`;
      return answerOf({ ...known, subject: `link to ${to}`, state: 'on-link', reason });
    }
    // One emesher of the site has the link; the others say nothing of it.
    const there = links.filter((each) => each.to === hop);
    const up = there.some((each) => each.up);
    const held = there.some((each) => each.held);
    const own = steps.filter(({ subject }) => subject === hop);
    const last = own.findLast(({ step }) => LINK_STEPS.has(step));
    const more = { ...known, subject: `link to ${hop}`, timeUs: last?.timeUs ?? 0 };
    if (last?.step === 'link-expired') {
      const reason = `its life ended before it was sent on to ${to}`;
      return answerOf({ ...more, state: 'expired', reason });
    }
    if (last?.step === 'link-accepted') {
      return answerOf({
        ...more,
        state: 'link-accepted',
        reason: `${hop} has stored it, for ${to}`,
      });
    }
    const link = up ? 'the link is up' : 'the link is down from here';
    const wasSent = last?.step === 'forwarded';
    if (held) {
      const sent = wasSent ? 'sent and not accepted' : 'waits to be sent';
      return answerOf({ ...more, state: 'on-link', reason: `${sent}, for ${to}; ${link}` });
    }
    if (wasSent) {
      // By an emesher that had the link before.
      const reason = `sent, for ${to}, and it is not known here whether it was accepted; ${hop} can tell`;
      return answerOf({ ...more, state: 'on-link', reason });
    }
    const reason = up
      ? `no longer remembered here, or not read yet, for ${to}; ${link}, and ${hop} can tell`
      : `waits in the store for ${to}; ${link}`;
    return answerOf({ ...more, state: 'on-link', reason });
  });
}

const LINK_STEPS: ReadonlySet<string> = new Set(['forwarded', 'link-accepted', 'link-expired']);
