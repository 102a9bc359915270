import type { AuditEntryInit, AuditSink } from '@eventmesh/clients';
import type { Secret } from '@eventmesh/config';
import { bearerGuard } from '@eventmesh/lifecycle';
import { systemClock, type Clock, type Kv } from '@eventmesh/kv-api';
import { AclAdminService, AclService } from '@eventmesh/proto-gen/acl';
import { Router } from '@eventmesh/rpc';
import type { Logger, Metrics } from '@eventmesh/telemetry';
import { aclAdminService, adminGuard } from './admin-service.ts';
import { Authenticator } from './authenticator.ts';
import { applyBootstrap, readBootstrap } from './bootstrap.ts';
import { Changes } from './changes.ts';
import { compileIssuers, type AclSettings } from './config.ts';
import { putDemoUsers, type DemoUser } from './demo-users.ts';
import { Directory } from './directory.ts';
import { keepsAdministrator } from './last-administrator.ts';
import { ACL_METRICS } from './metrics.ts';
import { DirectoryPolicy } from './policy.ts';
import { aclService } from './service.ts';
import { Tokens } from './tokens.ts';
import { VerifiedPasswords } from './verified-passwords.ts';

export interface AclDeps {
  /** Closed by whoever opened it, after `drain`. */
  readonly kv: Kv;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Where changes and refusals of administration go. Default: the log. */
  readonly audit?: AuditSink;
  readonly clock?: Clock;
  /** Named in the audit. Default `acl`. */
  readonly member?: string;
}

export type AclAppConfig = AclSettings & { readonly serviceToken?: Secret | undefined };

export interface AclApp {
  readonly router: Router;
  /** Loads the policy, then the bootstrap file into an empty store. */
  start(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
  /** Makes users for trying out, with new passwords that can be read here only. */
  putDemoUsers(): Promise<DemoUser[]>;
}

/** Composes the service. @throws ConfigError; nothing has been opened then. */
export function createAclApp(config: AclAppConfig, deps: AclDeps): AclApp {
  const { log } = deps;
  const clock = deps.clock ?? systemClock;
  const metrics = deps.metrics.use(ACL_METRICS);
  const audit = deps.audit ?? ((entry) => log.info({ audit: plain(entry) }, 'audit'));
  const issuers = compileIssuers(config.issuers);
  const { file, apply } = config.bootstrap;
  const bootstrap = file === undefined ? undefined : readBootstrap(file);

  const directory = new Directory(deps.kv, {
    clock,
    storeAwayMsMax: config.storeAway,
    onError: (err, key) => {
      metrics.storeErrors.inc();
      log.warn({ err, key }, 'the store of the policy is away or has an entry that is malformed');
    },
  });
  const cost = config.password;
  const passwords = makePasswords(directory, cost, clock, deps.metrics);
  const tokens = new Tokens(issuers, clock);
  const member = deps.member ?? 'acl';
  const authenticator = new Authenticator(directory, passwords, tokens, clock, (kind) =>
    audit(refusal(kind, config.operatorTenant, member, clock)),
  );
  const changes = new Changes(directory, cost, clock);
  const check = keepsAdministrator(directory, tokens);
  const ownChanges = new Changes(directory, cost, clock, check);
  const policy = new DirectoryPolicy(directory);
  const stopping = new AbortController();

  const token = config.serviceToken;
  const router = new Router()
    .service(
      AclService,
      aclService({ directory, authenticator, policy, metrics, cacheMs: config.cache }),
      bearerGuard(token),
    )
    .service(
      AclAdminService,
      aclAdminService({
        directory,
        authenticator,
        changes,
        ownChanges,
        clock,
        audit,
        member,
        operatorTenant: config.operatorTenant,
      }),
      adminGuard(authenticator),
    );

  let counting: Promise<void> | undefined;
  return {
    router,
    async start() {
      await tokens.start();
      await directory.start();
      if (bootstrap !== undefined && (await applyBootstrap(directory, bootstrap, apply, cost))) {
        log.info({ file, revision: directory.version }, 'the bootstrap file was applied');
      }
      counting = (async () => {
        while (!stopping.signal.aborted) {
          metrics.revision.set(directory.version);
          await directory.changed(stopping.signal);
        }
      })();
    },
    async drain() {
      stopping.abort();
      await counting;
      await directory.close();
    },
    putDemoUsers: () => putDemoUsers(changes),
  };
}

function makePasswords(
  directory: Directory,
  cost: AclSettings['password'],
  clock: Clock,
  metrics: Metrics,
): VerifiedPasswords {
  const { cache: cacheMs, hashingMax, waitingMax } = cost;
  const options = { cost, cacheMs, clock, hashingMax, waitingMax };
  const passwords = new VerifiedPasswords(directory, options);
  metrics.measure(ACL_METRICS.hashing, () => passwords.load.hashing);
  metrics.measure(ACL_METRICS.waiting, () => passwords.load.waiting);
  return passwords;
}

/** A form that a JSON log can hold. */
const plain = (entry: Parameters<AuditSink>[0]): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(entry).map(([key, value]) => [
      key,
      typeof value === 'bigint' ? Number(value) : value,
    ]),
  );

/** Without the name that was given: names that are made up would be entries without end. */
const refusal = (kind: string, tenant: string, member: string, clock: Clock): AuditEntryInit => ({
  timeMs: BigInt(clock.now()),
  tenant,
  member,
  action: 'authenticate',
  resource: kind,
  outcome: 'refused',
  reason: 'UNAUTHENTICATED',
});
