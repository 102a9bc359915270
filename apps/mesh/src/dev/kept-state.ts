import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where a local mesh keeps its events: each kind apart from the other, in one folder. */
export type StateKind = 'embedded' | 'services';

const STORE_OF: Readonly<Record<StateKind, string>> = Object.freeze({
  embedded: 'the embedded store',
  services: 'etcd and nats-server',
});
const WAY_TO: Readonly<Record<StateKind, string>> = Object.freeze({
  embedded: 'without --services',
  services: 'with --services',
});

/** The kinds of state that a data folder has; to be asked before a mesh is started on it. */
export function keptState(dir: string, sites: readonly string[]): ReadonlySet<StateKind> {
  const kept = new Set<StateKind>();
  if (sites.some((site) => existsSync(join(dir, site, 'site.yaml')))) kept.add('embedded');
  if (existsSync(join(dir, 'etcd'))) kept.add('services');
  return kept;
}

/** Tells what a start finds again, and what stays apart because it ran the other way. */
export function goingOn(dir: string, kind: StateKind, kept: ReadonlySet<StateKind>): string {
  const other = kind === 'embedded' ? 'services' : 'embedded';
  if (!kept.has(other)) return `going on from ${dir}`;
  const apart =
    `the events and subscriptions of ${STORE_OF[other]} in ${dir} are not in it, and stay for ` +
    `a start ${WAY_TO[other]}`;
  return kept.has(kind)
    ? `going on from ${STORE_OF[kind]} in ${dir}; ${apart}`
    : `beginning anew on ${STORE_OF[kind]}; ${apart}`;
}
