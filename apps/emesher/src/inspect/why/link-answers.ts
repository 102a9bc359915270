import type { TraceStep, WhyAnswer } from '@eventmesh/adapter-api';
import type { Copy } from '../find-event.ts';
import { answerOf } from './answers.ts';

export interface LinkDeps {
  readonly site: string;
  readonly nextHop: (site: string) => string | undefined;
  /** Whether the link to a neighbour is open from here, and has a position on its way. */
  readonly linkPlace: (
    to: string,
    tenant: string,
    partition: number,
    position: number,
  ) => { readonly up: boolean; readonly held: boolean };
}

/** How far an event has come on each link that leads to one of its destinations. */
export function linkAnswers(
  deps: LinkDeps,
  tenant: string,
  { record, partition, position, source, topic }: Copy,
  steps: readonly TraceStep[],
): WhyAnswer[] {
  const { site, nextHop, linkPlace } = deps;
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
    const { up, held } = linkPlace(hop, tenant, partition, position);
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
    if (last?.step === 'forwarded' || held) {
      const sent = last?.step === 'forwarded' ? 'sent and not accepted' : 'waits to be sent';
      return answerOf({ ...more, state: 'on-link', reason: `${sent}, for ${to}; ${link}` });
    }
    const reason = up
      ? `no longer remembered here, or not read yet, for ${to}; ${link}, and ${hop} can tell`
      : `waits in the store for ${to}; ${link}`;
    return answerOf({ ...more, state: 'on-link', reason });
  });
}

const LINK_STEPS: ReadonlySet<string> = new Set(['forwarded', 'link-accepted', 'link-expired']);
