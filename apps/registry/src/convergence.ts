import { invalid } from '@eventmesh/errors';
import type { Advertiser } from './advertiser.ts';
import type { Parts } from './parts.ts';
import type { Routing } from './routing.ts';
import { includes } from './versions.ts';

const TIMEOUT_MS_MAX = 60_000;

export interface ConvergenceAnswer {
  readonly convergedSites: string[];
  readonly unreachableSites: string[];
}

/**
 * Waits until every site that can be reached has acknowledged a version of this site's interest.
 * Sites known or configured that cannot be reached, or did not acknowledge in time, are named.
 */
export class Convergence {
  readonly #parts: Parts;
  readonly #advertiser: Advertiser;
  readonly #routing: Routing;
  readonly #neighbours: readonly string[];
  readonly #closing = new AbortController();

  constructor(
    parts: Parts,
    advertiser: Advertiser,
    routing: Routing,
    neighbours: readonly string[],
  ) {
    this.#parts = parts;
    this.#advertiser = advertiser;
    this.#routing = routing;
    this.#neighbours = neighbours;
  }

  /** Answers all waits with what is known now. */
  close(): void {
    this.#closing.abort();
  }

  wait(
    interestVersion: bigint,
    timeout: bigint,
    callSignals: readonly AbortSignal[],
  ): Promise<ConvergenceAnswer> {
    if (timeout < 1n || timeout > BigInt(TIMEOUT_MS_MAX)) {
      throw invalid('timeout_ms', `must be 1 to ${TIMEOUT_MS_MAX}, got ${timeout}`, {
        limit: `${TIMEOUT_MS_MAX} ms`,
      });
    }
    const { state, clock } = this.#parts;
    const signals = [...callSignals, this.#closing.signal];
    return new Promise((resolve) => {
      const finish = () => {
        cancelTimer();
        stopListening();
        for (const signal of signals) signal.removeEventListener('abort', finish);
        resolve(this.#answer(interestVersion).answer);
      };
      const cancelTimer = clock.setTimer(Number(timeout), finish);
      const stopListening = state.onChange((changes) => {
        const matters = changes.some(
          ({ area }) => area === 'advertisements' || area === 'acknowledgements',
        );
        if (matters && this.#answer(interestVersion).done) finish();
      });
      for (const signal of signals) signal.addEventListener('abort', finish, { once: true });
      if (this.#answer(interestVersion).done || signals.some(({ aborted }) => aborted)) finish();
    });
  }

  #answer(interestVersion: bigint): { done: boolean; answer: ConvergenceAnswer } {
    const { site, state } = this.#parts;
    const own = this.#advertiser.own;
    const reachable = new Set(this.#routing.routes.map(({ destination }) => destination));
    const sites = new Set([...this.#neighbours, ...state.maps.advertisements.keys()]);
    sites.delete(site);
    const answer: ConvergenceAnswer = { convergedSites: [], unreachableSites: [] };
    let done = own !== undefined && own.interestVersion >= interestVersion;
    for (const other of [...sites].sort()) {
      const ack = state.maps.acknowledgements
        .get(other)
        ?.value.acknowledgements.find(({ ofSite }) => ofSite === site);
      const acknowledged =
        own !== undefined && includes(ack, { epoch: own.epoch, interestVersion });
      (acknowledged ? answer.convergedSites : answer.unreachableSites).push(other);
      if (!acknowledged && reachable.has(other)) done = false;
    }
    return { done, answer };
  }
}
