import { create } from '@bufbuild/protobuf';
import { RoutingTableSchema, type Route, type RoutingTable } from '@eventmesh/proto-gen/registry';
import { computeRoutes } from '@eventmesh/routing';
import type { Parts } from './parts.ts';

/**
 * The routing table of this site: next hops over links that both ends report up, and the interest
 * of all other sites, also of those that cannot be reached now, since durable events wait for them.
 * Several changes in one turn of the event loop make one new table.
 */
export class Routing {
  readonly #parts: Parts;
  readonly #listeners = new Set<(table: RoutingTable) => void>();
  #table: RoutingTable = create(RoutingTableSchema);
  #signature = '';
  #computedAt = -1;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    parts.state.onChange((changes) => {
      if (changes.some(({ area }) => area === 'advertisements')) this.#schedule();
    });
  }

  /** As of the state's present revision. */
  get table(): RoutingTable {
    this.#compute();
    return this.#table;
  }

  get routes(): readonly Route[] {
    return this.table.routes;
  }

  onChange(listener: (table: RoutingTable) => void): void {
    this.#listeners.add(listener);
  }

  close(): void {
    clearImmediate(this.#scheduled);
    this.#listeners.clear();
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#compute();
    });
  }

  #compute(): void {
    const { state, site, metrics } = this.#parts;
    if (this.#computedAt === state.revision) return;
    this.#computedAt = state.revision;
    const advertisements = [...state.maps.advertisements.values()].map(({ value }) => value);
    const routes = computeRoutes(site, advertisements);
    const others = advertisements
      .filter((advertisement) => advertisement.site !== site)
      .sort((a, b) => (a.site < b.site ? -1 : 1));
    const signature = JSON.stringify([
      routes,
      others.map(({ site: of, epoch, interestVersion }) => `${of} ${epoch} ${interestVersion}`),
    ]);
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#table = create(RoutingTableSchema, {
      version: BigInt(state.revision),
      routes,
      remote: others.map(({ site: of, interest, interestVersion }) => ({
        site: of,
        interest,
        interestVersion,
      })),
    });
    metrics.routingChanges.inc();
    metrics.routes.set(routes.length);
    metrics.sites.set(advertisements.length);
    for (const listener of this.#listeners) listener(this.#table);
  }
}
