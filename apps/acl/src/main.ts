import { CLIENT_METRICS, createAuditSpool } from '@eventmesh/clients';
import { awayLog, runService, tlsFiles } from '@eventmesh/lifecycle';
import { PolicyService } from '@eventmesh/proto-gen/governance';
import { createClient, grpcTransport } from '@eventmesh/rpc';
import { createAclApp } from './app.ts';
import { aclConfig, type AclConfig } from './config.ts';
import { openKv } from '@eventmesh/kv-open';

await runService({
  name: 'acl',
  config: aclConfig,
  async create(config, { log, metrics, memberId }) {
    const kv = await openKv(config.kv);
    const spool = openAudit(
      config,
      memberId,
      awayLog(log, 'audit entries wait for the governance service'),
    );
    if (spool !== undefined) metrics.measure(CLIENT_METRICS.auditSpool, spool.size);
    const app = createAclApp(config, {
      kv,
      log,
      metrics,
      member: memberId,
      ...(spool === undefined ? {} : { audit: spool.append }),
    });
    return {
      router: app.router,
      start: () => app.start(),
      async drain(deadlineMs) {
        await app.drain(deadlineMs);
        await spool?.close(deadlineMs / 2);
        await kv.close();
      },
    };
  },
});

function openAudit(config: AclConfig, member: string, onError: (error: Error) => void) {
  const { address, tls } = config.governance;
  if (address === undefined) return undefined;
  const token = config.serviceToken;
  const transport = grpcTransport({
    address,
    ...(tls === undefined ? {} : { tls: tlsFiles(tls) }),
    metadata: () => (token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
  });
  const spool = createAuditSpool(createClient(PolicyService, transport), {
    member,
    entriesMax: config.audit.spoolMax,
    onError,
  });
  return {
    size: () => spool.size,
    append: spool.append,
    async close(deadlineMs: number) {
      await spool.close(deadlineMs);
      transport.close();
    },
  };
}
