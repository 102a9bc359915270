import type { MeshPort, Session } from '@eventmesh/adapter-api';
import type { AuditSink } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import { auditPrincipal, callerOf } from './session.ts';

type Called = (session: Session, ...rest: unknown[]) => unknown;

/**
 * The same mesh; what a caller is refused for want of right or by a quota goes to the audit. Publishes are not
 * looked at here: each event has its own outcome, and the ledger tells the audit of those.
 */
export function auditRefusals(port: MeshPort, audit: AuditSink): MeshPort {
  const note = (session: Session, thrown: unknown): never => {
    const error = MeshError.from(thrown);
    if (error.code === 'PermissionDenied' || error.reason === 'QUOTA') {
      const { principal: by } = callerOf(session);
      const { action = '', resource = '' } = error.details.facts ?? {};
      const entry = { tenant: by.tenant, principal: auditPrincipal(by), action, resource };
      audit({ ...entry, outcome: 'refused', reason: error.message });
    }
    throw thrown;
  };
  const watched = <P extends object>(part: P): P =>
    new Proxy(part, {
      get(target, key) {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        const called = member.bind(target) as Called;
        return async (session: Session, ...rest: unknown[]) => {
          try {
            return await called(session, ...rest);
          } catch (thrown) {
            return note(session, thrown);
          }
        };
      },
    });
  return {
    ...port,
    subscriptions: watched(port.subscriptions),
    deadLetters: watched(port.deadLetters),
    replays: watched(port.replays),
    inspect: watched(port.inspect),
    scheduled: watched(port.scheduled),
    attach: (session, options, sink) =>
      port.attach(session, options, sink).catch((thrown: unknown) => note(session, thrown)),
  };
}
