import type { WhyQuery, WhyReport } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';
import type { LinkClient } from '../../link/link-client.ts';
import { ASK_TIMEOUT_MS, askAround } from '../ask-around.ts';
import type { Inspector } from '../memory.ts';
import type { KnownCopy } from './answers.ts';
import type { Explainer, SiteAnswer } from './explainer.ts';
import { fromWire, toWire } from './wire.ts';

export interface WhyDeps {
  readonly site: string;
  readonly explainer: Explainer;
  readonly links: ReadonlyMap<string, LinkClient>;
  readonly logger: Logger;
}

export interface WhyAround extends SiteAnswer {
  readonly unreachableSites: readonly string[];
}

/** Why an event did, or did not, reach each subscription: this site's answer, the rest by asking on. */
export class Why {
  readonly #deps: WhyDeps;

  constructor(deps: WhyDeps) {
    this.#deps = deps;
  }

  /** @throws NotFound when no site has the subscription that is asked for. */
  async report(inspector: Inspector, query: WhyQuery): Promise<WhyReport> {
    const { copies, ...report } = await this.around(inspector, query, [], []);
    const { answers, unreachableSites } = report;
    const { subscription } = query;
    if (subscription !== undefined && copies.length > 0 && answers.length === 0) {
      const away =
        unreachableSites.length === 0 ? '' : `; not asked: ${unreachableSites.join(', ')}`;
      throw new MeshError('NotFound', `no site has a subscription "${subscription}"${away}`, {
        field: 'subscription',
      });
    }
    return report;
  }

  /** @param visited Sites that have answered already, with what they know of the event. */
  async around(
    inspector: Inspector,
    query: WhyQuery,
    visited: readonly string[],
    known: readonly KnownCopy[],
  ): Promise<WhyAround> {
    const { site, explainer, links, logger } = this.#deps;
    const own = await explainer.explain(inspector, query, known);
    const copies = [...known, ...own.copies];
    const { answers, unreachable } = await askAround(
      links,
      [...visited, site],
      logger,
      async (link, seen) => {
        const request = toWire(inspector.tenant, query, seen, copies);
        const answer = fromWire(await link.client.why(request, { timeoutMs: ASK_TIMEOUT_MS }));
        copies.push(...answer.copies);
        return answer;
      },
      ({ answers: told, searches }) => [...told, ...searches].map((each) => each.site),
    );
    const around = [own, ...answers];
    return {
      answers: around.flatMap((each) => each.answers),
      searches: around.flatMap((each) => each.searches),
      copies: distinct(copies),
      silentEmeshers: around.flatMap((each) => each.silentEmeshers),
      unreachableSites: [
        ...new Set([...unreachable, ...answers.flatMap((each) => each.unreachableSites)]),
      ],
    };
  }
}

/** Copies of one event at several sites are one; its origin's counts, which comes first. */
function distinct(copies: readonly KnownCopy[]): KnownCopy[] {
  const bySource = new Map<string, KnownCopy>();
  for (const copy of copies) if (!bySource.has(copy.source)) bySource.set(copy.source, copy);
  return [...bySource.values()];
}
