import {
  ConfigError,
  choice,
  integer,
  optional,
  section,
  text,
  type ConfigOf,
} from '@eventmesh/config';
import { kvConfig, kvProblems } from '@eventmesh/kv-open';
import { serviceConfig, tlsConfig } from '@eventmesh/lifecycle';
import { readBootstrap } from './bootstrap.ts';
import { TENANT_PATTERN } from './checks.ts';

export const GOVERNANCE_PORT = 9094;

/** What governance itself needs, in whatever process it runs. */
export const governanceSettings = {
  operatorTenant: text('The tenant whose administrators may administer other tenants.', {
    pattern: TENANT_PATTERN,
    default: 'default',
  }),
  audit: section('The audit.', {
    waitingMax: integer('Entries that may wait to be stored; more are refused and sent again.', {
      min: 1000,
      max: 10_000_000,
      default: 20_000,
    }),
    spoolMax: integer('Own entries held while the audit cannot be stored; others are counted.', {
      min: 100,
      max: 1_000_000,
      default: 10_000,
    }),
  }),
  watch: section('Members that follow the policy.', {
    historyMax: integer(
      'Versions that are kept for members that are behind or come back; one that is further behind gets the whole policy.',
      { min: 1, max: 100_000, default: 1000 },
    ),
  }),
  bootstrap: section('Topics, event types and quotas to begin with.', {
    file: optional(text('YAML file; see docs/reference/configuration.md. Default: none.')),
    apply: choice(
      'When: only into an empty store, or over what is there at each start.',
      ['when-empty', 'always'],
      { default: 'when-empty' },
    ),
  }),
} as const;

const peer = (about: string) =>
  section(about, {
    address: text('host:port of its gRPC server.', { pattern: '^.+:\\d{1,5}$' }),
    tls: optional(tlsConfig),
  });

const sections = section('The governance service.', {
  ...serviceConfig(GOVERNANCE_PORT),
  ...governanceSettings,
  kv: kvConfig('data/governance'),
  services: section('The services it needs.', {
    acl: peer('The acl service, which tells who callers are.'),
    store: peer('The store-gateway, which keeps the audit.'),
  }),
});

export type GovernanceConfig = ConfigOf<typeof sections>;
const settings = section('', governanceSettings);
export type GovernanceSettings = ConfigOf<typeof settings>;

/** With the checks that go over more than one setting, and the bootstrap file's own. */
export const governanceConfig: typeof sections = {
  ...sections,
  compile: ((given: never, path: string) => {
    const config = sections.compile(given, path);
    const problems: string[] = [];
    problems.push(...kvProblems(config.kv));
    problems.push(...bootstrapProblems(config.bootstrap.file));
    if (problems.length > 0) throw new ConfigError(problems);
    return config;
  }) as typeof sections.compile,
};

function bootstrapProblems(file: string | undefined): readonly string[] {
  try {
    if (file !== undefined) readBootstrap(file);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
