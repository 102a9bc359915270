import type { AuditEntryInit } from '@eventmesh/clients';
import { loadConfig, section } from '@eventmesh/config';
import type { Clock } from '@eventmesh/kv-api';
import { openEmbeddedKv, type EmbeddedKv } from '@eventmesh/kv-embedded';
import { AclAdminService, AclService } from '@eventmesh/proto-gen/acl';
import { createClient, localTransport } from '@eventmesh/rpc';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { tempDir } from '@eventmesh/testing';
import { createAclApp } from '../src/app.ts';
import { aclSettings } from '../src/config.ts';

/** Cheap hashes: what is tested is not how long they take. */
const CHEAP = { costLog2: 10, parallel: 1 };

export interface FixtureOptions {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly clock?: Clock;
  readonly kv?: EmbeddedKv;
}

/** A running acl on a store of its own, with its clients in the same process. */
export async function startAcl(options: FixtureOptions = {}) {
  const dir = tempDir('acl');
  const kv = options.kv ?? (await openEmbeddedKv({ dir: dir.path }));
  const settings = loadConfig(section('', aclSettings), {
    value: { password: CHEAP, ...options.settings },
  });
  const audited: AuditEntryInit[] = [];
  const app = createAclApp(settings, {
    kv,
    log: createLogger({ level: 'silent', service: 'acl' }),
    metrics: new Metrics(),
    audit: (entry) => audited.push(entry),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  await app.start();
  const transport = localTransport(app.router);
  return {
    app,
    kv,
    audited,
    acl: createClient(AclService, transport),
    /** An admin client that calls with this `authorization`. */
    admin: (authorization: string) =>
      createClient(AclAdminService, localTransport(app.router, { authorization })),
    async stop() {
      transport.close();
      await app.drain(1000);
      await kv.close();
      dir.remove();
    },
  };
}

export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
