import {
  ConfigError,
  choice,
  list,
  optional,
  secret,
  section,
  text,
  type ConfigOf,
} from '@eventmesh/config';
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
  kv: section('Where the catalogue and quotas are kept.', {
    kind: choice(
      'embedded: a folder, for one process. etcd: shared by replicas.',
      ['embedded', 'etcd'],
      { default: 'embedded' },
    ),
    dir: text('Folder of the embedded store.', { default: 'data/governance' }),
    etcd: section('The etcd store.', {
      hosts: list('Addresses such as http://127.0.0.1:2379.', text('Address.'), { maxItems: 16 }),
      prefix: text('Leads every key, so that sites can share an etcd.', { default: 'eventmesh/' }),
      username: optional(text('User, for servers with authentication switched on.')),
      password: optional(secret('Password of that user.')),
      tls: optional(tlsConfig),
    }),
  }),
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
    const { etcd, kind } = config.kv;
    const problems: string[] = [];
    if (kind === 'etcd' && etcd.hosts.length === 0) {
      problems.push('kv.etcd.hosts: is empty; name at least one etcd');
    }
    if ((etcd.username === undefined) !== (etcd.password === undefined)) {
      problems.push('kv.etcd: needs both username and password, or neither');
    }
    if (etcd.tls !== undefined && etcd.tls.caFile === undefined) {
      problems.push('kv.etcd.tls.caFile: is missing');
    }
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
