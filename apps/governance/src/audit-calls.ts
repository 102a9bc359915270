import { toBinary } from '@bufbuild/protobuf';
import { invalid } from '@eventmesh/errors';
import { AuditEntrySchema, type GovernanceService } from '@eventmesh/proto-gen/governance';
import { pageOf, pageSizeOf, readPageToken, type ServiceImpl } from '@eventmesh/rpc';
import type { Administration, GovernanceParts } from './administration.ts';

type AuditCalls = Pick<ServiceImpl<typeof GovernanceService>, 'listAudit' | 'verifyAudit'>;

const READS = { resource: '*', needs: 'inspect' } as const;

/** The calls for the audit, of the service for administrators. */
export function auditCalls(parts: GovernanceParts, task: Administration): AuditCalls {
  const { audit, operatorTenant } = parts;
  return {
    listAudit: ({ tenant, afterSequence, pageSize, pageToken }, ctx) =>
      task(ctx, { tenant, action: 'list-audit', ...READS }, async (of) => {
        if (afterSequence < 0n) throw invalid('after_sequence', 'must be 0 or more');
        const scope = `audit of ${of} after ${afterSequence}`;
        const after = Number(readPageToken(scope, pageToken) ?? afterSequence);
        if (!Number.isSafeInteger(after)) throw invalid('page_token', 'names no entry');
        const size = pageSizeOf(pageSize);
        // One more tells whether there is another page.
        const found = await audit.list(of, after, size + 1, ctx.signal);
        return pageOf(found, size, {
          scope,
          keyOf: ({ sequence }) => String(sequence),
          bytesOf: (entry) => toBinary(AuditEntrySchema, entry).length,
        });
      }),

    verifyAudit: (_, ctx) =>
      task(ctx, { tenant: operatorTenant, action: 'verify-audit', ...READS }, async () => {
        const { intact, brokenSequence, entries } = await audit.verify(ctx.signal);
        return { intact, brokenSequence: BigInt(brokenSequence), entries: BigInt(entries) };
      }),
  };
}
