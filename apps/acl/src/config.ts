import {
  choice,
  duration,
  integer,
  list,
  optional,
  section,
  text,
  ConfigError,
  type ConfigOf,
} from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { kvConfig, kvProblems } from '@eventmesh/kv-open';
import { serviceConfig, tlsConfig } from '@eventmesh/lifecycle';
import { readBootstrap } from './bootstrap.ts';
import { parseKeySet } from './jwks.ts';
import { TENANT_PATTERN } from './names.ts';
import { TOKEN_ALGORITHMS, type IssuerOptions } from './tokens.ts';

export const ACL_PORT = 9093;

const issuer = section('An issuer of JWTs that is trusted.', {
  issuer: text('The exact `iss` of its tokens.'),
  audience: list('One of these must be in `aud`.', text('Audience.'), { maxItems: 16 }),
  algorithms: list('Signature algorithms it uses.', choice('Algorithm.', TOKEN_ALGORITHMS), {
    default: ['RS256', 'ES256'],
  }),
  keys: section('Its public keys (a JSON Web Key Set); give one of url, file, inline.', {
    url: optional(text('https address, or http on this machine.', { pattern: '^https?://' })),
    file: optional(text('File with the key set.')),
    inline: optional(text('The key set itself, as JSON.', { maxLength: 262_144 })),
    cache: duration('How long keys from a url are used without loading them again.', {
      default: '10m',
      min: '10s',
      max: '10m',
    }),
  }),
  clockSkew: duration('Tolerated difference of clocks.', {
    default: '30s',
    min: '0ms',
    max: '60s',
  }),
  typ: optional(text('The `typ` its tokens must have, such as `at+jwt`. Default: any.')),
  tenant: optional(text('Tenant of all its tokens.', { pattern: TENANT_PATTERN })),
  tenantClaim: optional(text('Claim that names the tenant, instead of `tenant`.')),
  nameClaim: text('Claim that names the principal; a dotted path is followed.', {
    default: 'sub',
  }),
  rolesClaim: text('Claim with the roles: a list, or a text with spaces.', { default: 'roles' }),
});

/** What the acl itself needs, in whatever process it runs. */
export const aclSettings = {
  cache: duration('How long members may use an answer without asking again.', {
    default: '60s',
    min: '1s',
    max: '60s',
  }),
  storeAway: duration('How long answers are given from memory while the store is away.', {
    default: '10s',
    min: '0ms',
    max: '60s',
  }),
  operatorTenant: text('The tenant whose administrators may administer other tenants.', {
    pattern: TENANT_PATTERN,
    default: 'default',
  }),
  password: section('Password hashing (scrypt); memory is 128 · 2^costLog2 · blockSize bytes.', {
    costLog2: integer('Base-2 logarithm of the cost.', { min: 10, max: 20, default: 15 }),
    blockSize: integer('Block size.', { min: 8, max: 32, default: 8 }),
    parallel: integer('Parallelisation.', { min: 1, max: 16, default: 3 }),
    hashingMax: integer('Hashes at a time; node has four threads for them and for files.', {
      min: 1,
      max: 64,
      default: 3,
    }),
    waitingMax: integer('Logins that may wait for their hash; more are refused.', {
      min: 0,
      max: 100_000,
      default: 256,
    }),
    cache: duration('How long a right password is not hashed again.', {
      default: '5m',
      min: '0ms',
      max: '1h',
    }),
  }),
  issuers: list('Issuers of JWTs that are trusted.', issuer, { maxItems: 32 }),
  audit: section('Audit entries on their way to governance.', {
    spoolMax: integer('Entries held while governance is away; further ones are only counted.', {
      min: 100,
      max: 1_000_000,
      default: 10_000,
    }),
  }),
  bootstrap: section('Users, roles and policies to begin with.', {
    file: optional(text('YAML file; see docs/reference/configuration.md. Default: none.')),
    apply: choice(
      'When: only into an empty store, or over what is there at each start.',
      ['when-empty', 'always'],
      { default: 'when-empty' },
    ),
  }),
} as const;

const sections = section('The acl service.', {
  ...serviceConfig(ACL_PORT),
  ...aclSettings,
  kv: kvConfig('data/acl'),
  governance: section('Where audit entries go.', {
    address: optional(text('host:port of the governance service. Default: the log only.')),
    tls: optional(tlsConfig),
  }),
});

export type AclConfig = ConfigOf<typeof sections>;

/** With the checks that go over more than one setting, and the bootstrap file's own. */
export const aclConfig: typeof sections = {
  ...sections,
  compile: ((given: never, path: string) => {
    const config = sections.compile(given, path);
    const problems = [
      ...problemsOf(() => compileIssuers(config.issuers)),
      ...problemsOf(() => config.bootstrap.file && readBootstrap(config.bootstrap.file)),
    ];
    problems.push(...kvProblems(config.kv));
    if (problems.length > 0) throw new ConfigError(problems);
    return config;
  }) as typeof sections.compile,
};

function problemsOf(check: () => unknown): readonly string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

const settings = section('', aclSettings);
export type AclSettings = ConfigOf<typeof settings>;

/** The checks that go over more than one setting. @throws ConfigError with every problem. */
export function compileIssuers(given: AclSettings['issuers']): IssuerOptions[] {
  const problems = given.flatMap((one, index) =>
    issuerProblems(one).map((problem) => `issuers[${index}]${problem}`),
  );
  const names = given.map(({ issuer: name }) => name);
  if (new Set(names).size < names.length) problems.push('issuers: an issuer is there twice');
  if (problems.length > 0) throw new ConfigError(problems);
  return given.map((one) => ({
    ...one,
    clockSkewMs: one.clockSkew,
    keys: { ...one.keys, cacheMs: one.keys.cache },
  }));
}

function issuerProblems(one: AclSettings['issuers'][number]): string[] {
  const problems: string[] = [];
  const { url, file, inline } = one.keys;
  if ([url, file, inline].filter((source) => source !== undefined).length !== 1) {
    problems.push('.keys: give exactly one of url, file and inline');
  }
  if (url !== undefined && !isSafeUrl(url)) {
    problems.push('.keys.url: must be https; http only for 127.0.0.1, ::1 and localhost');
  }
  if (inline !== undefined) {
    try {
      parseKeySet(inline, '.keys.inline');
    } catch (error) {
      problems.push(MeshError.from(error).message);
    }
  }
  if ((one.tenant === undefined) === (one.tenantClaim === undefined)) {
    problems.push(': give exactly one of tenant and tenantClaim');
  }
  if (one.audience.length === 0) problems.push('.audience: is empty; tokens need an audience');
  if (one.algorithms.length === 0) problems.push('.algorithms: is empty');
  return problems;
}

function isSafeUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  const local = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && local);
}
