import {
  ConfigError,
  duration,
  integer,
  list,
  optional,
  secret,
  section,
  text,
  type ConfigOf,
} from '@eventmesh/config';
import { kvConfig, kvProblems } from '@eventmesh/kv-open';
import { serviceConfig, tlsConfig } from '@eventmesh/lifecycle';

/** Default port of the registry. */
export const REGISTRY_PORT = 9091;

const SITE = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$';
const ADDRESS = '^[^\\s/]+:[0-9]{1,5}$';

/** Settings of the registry besides those that every service has. */
export const registryOptions = {
  neighbours: list(
    'Neighbouring sites. Each of the two has the other in its list.',
    section('A neighbouring site.', {
      site: text('Name of the neighbouring site.', { pattern: SITE, example: 'east' }),
      address: optional(
        text('host:port of its registry. Without it only the neighbour calls.', {
          pattern: ADDRESS,
          example: 'registry.east.example:9091',
        }),
      ),
      cost: integer('Cost of the link in this direction; routes take the least sum.', {
        min: 1,
        max: 65_535,
        default: 1,
      }),
      tls: optional(tlsConfig),
    }),
  ),
  linkToken: optional(
    secret('Shared by neighbouring sites; their registries show it to each other.'),
  ),
  exchange: section('Exchange of link state with neighbours.', {
    ping: duration('Time between two pings.', { default: '1s', min: '100ms', max: '60s' }),
    deadAfter: duration('Silence after which a neighbour counts as down.', {
      default: '5s',
      min: '200ms',
      max: '5m',
    }),
    reconnectMax: duration('Longest wait between two attempts to reach a neighbour.', {
      default: '2s',
      min: '50ms',
      max: '60s',
    }),
    queueMax: integer(
      'Messages waiting for a neighbour to read them; with more it counts as down and starts anew.',
      { min: 100, max: 1_000_000, default: 10_000 },
    ),
    sitesMax: integer('Most sites in the link-state database; more are refused and counted.', {
      min: 2,
      max: 10_000,
      default: 1000,
    }),
  }),
  interest: section('Interest that this site advertises.', {
    linger: duration('How long interest stays after its last subscription has gone.', {
      default: '2s',
      max: '1h',
    }),
  }),
  watch: section('Members that follow the registry.', {
    historyMax: integer(
      'Changes that are kept for members that are behind or come back; one that is further behind gets everything anew.',
      { min: 16, max: 1_000_000, default: 4096 },
    ),
  }),
  subscriptionsMax: integer('Most subscriptions of the site.', {
    min: 1,
    max: 1_000_000,
    default: 100_000,
  }),
} as const;

const sections = section('The registry of a site.', {
  ...serviceConfig(REGISTRY_PORT),
  ...registryOptions,
  kv: kvConfig('data/registry'),
});

/** With the checks that go over more than one setting. */
export const registryConfig: typeof sections = {
  ...sections,
  compile: ((given: never, path: string) => {
    const config = sections.compile(given, path);
    const problems = neighbourProblems(config);
    problems.push(...kvProblems(config.kv));
    if (problems.length > 0) throw new ConfigError(problems);
    return config;
  }) as typeof sections.compile,
};

/** What is wrong with the list of neighbours, a line each. */
export function neighbourProblems(config: Pick<RegistryOptions, 'site' | 'neighbours'>): string[] {
  const seen = new Set<string>();
  return config.neighbours.flatMap(({ site }, index) => {
    const at = `neighbours[${index}].site`;
    if (site === config.site) return [`${at}: "${site}" is this site itself`];
    if (seen.has(site)) return [`${at}: "${site}" is named twice`];
    seen.add(site);
    return [];
  });
}

export type RegistryConfig = ConfigOf<typeof registryConfig>;

const options = section('', {
  site: text('', { pattern: SITE }),
  serviceToken: optional(secret('')),
  ...registryOptions,
});
/** What `createRegistryApp` needs of the configuration. */
export type RegistryOptions = ConfigOf<typeof options>;
/** The same as a spec, for those who compose the registry into another process. */
export const registryAppConfig = options;
