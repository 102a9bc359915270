import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig, section } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { openEmbeddedKv, type EmbeddedKv } from '@eventmesh/kv-embedded';
import { AclService, Action, Principal_Kind as Kind } from '@eventmesh/proto-gen/acl';
import { GovernanceService, PolicyService } from '@eventmesh/proto-gen/governance';
import { Router, createClient, localTransport } from '@eventmesh/rpc';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import type { EventStore } from '@eventmesh/store-api';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { tempDir } from '@eventmesh/testing';
import { createGovernanceApp } from '../src/app.ts';
import { governanceSettings } from '../src/config.ts';

/** Who the acl at the other end of the wire knows; the password is the name. */
const USERS: Readonly<Record<string, readonly [tenant: string, Action, resource: string][]>> = {
  admin: [
    ['default', Action.ADMIN, '#'],
    ['default', Action.INSPECT, '#'],
  ],
  reader: [['default', Action.INSPECT, 'governance']],
  nobody: [['default', Action.PUBLISH, '#']],
  ada: [['acme', Action.ADMIN, '#']],
};

/** An acl for one process: the same contract, with a fixed list of users. */
function aclRouter(): Router {
  return new Router().service(AclService, {
    async authenticate({ credential }) {
      const given = credential?.credential;
      const user = given?.case === 'password' ? given.value : undefined;
      const grants = USERS[user?.user ?? ''];
      if (user === undefined || grants === undefined || user.password !== user.user) {
        throw new MeshError('Unauthenticated', 'the credential is wrong, expired or unknown');
      }
      return {
        principal: { tenant: grants[0]?.[0] ?? '', kind: Kind.USER, name: user.user },
        grants: grants.map(([, action, topicFilter]) => ({ action, topicFilter })),
        revision: 1n,
        cacheMs: 60_000n,
      };
    },
    async *watchPolicy(_, ctx) {
      yield { revision: 1n };
      const over = AbortSignal.any([ctx.signal, ctx.draining]);
      if (over.aborted) return;
      await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
    },
  });
}

export interface FixtureOptions {
  readonly dir?: string;
  readonly bootstrap?: string;
  readonly apply?: 'when-empty' | 'always';
  readonly store?: EventStore | (() => Promise<EventStore>);
}

/** A running governance on stores of its own, with its clients in the same process. */
export async function startGovernance(options: FixtureOptions = {}) {
  const dir = tempDir('governance');
  const root = options.dir ?? dir.path;
  const kv: EmbeddedKv = await openEmbeddedKv({ dir: join(root, 'kv') });
  const store = options.store ?? (await openEmbeddedStore({ dir: join(root, 'store') }));
  const file = join(dir.path, 'bootstrap.yaml');
  if (options.bootstrap !== undefined) writeFileSync(file, options.bootstrap);
  const config = loadConfig(section('', governanceSettings), {
    value: {
      bootstrap:
        options.bootstrap === undefined ? {} : { file, apply: options.apply ?? 'when-empty' },
    },
  });
  const aclTransport = localTransport(aclRouter());
  const app = createGovernanceApp(config, {
    kv,
    store,
    acl: createClient(AclService, aclTransport),
    log: createLogger({ level: 'silent', service: 'governance' }),
    metrics: new Metrics(),
  });
  await app.start();
  const transport = localTransport(app.router);
  return {
    app,
    kv,
    store,
    policy: createClient(PolicyService, transport),
    as: (user: string) =>
      createClient(
        GovernanceService,
        localTransport(app.router, {
          authorization: `Basic ${Buffer.from(`${user}:${user}`).toString('base64')}`,
        }),
      ),
    async stop() {
      transport.close();
      await app.drain(1000);
      aclTransport.close();
      if (typeof store !== 'function') await store.close();
      await kv.close();
      dir.remove();
    },
  };
}

export type Governance = Awaited<ReturnType<typeof startGovernance>>;
