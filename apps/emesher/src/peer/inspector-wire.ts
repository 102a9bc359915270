import { invalid } from '@eventmesh/errors';
import { Action, type Principal } from '@eventmesh/proto-gen/acl';
import type { Inspector as WireInspector } from '@eventmesh/proto-gen/peer';
import type { Inspector } from '../inspect/memory.ts';
import { denied, wirePrincipal, type CallerSession } from '../session.ts';

/** Who looks, as another emesher of the site is told of it. */
export function inspectorToWire({ caller, tenant, resource }: Inspector) {
  const who =
    caller === undefined
      ? ({ case: 'tenant', value: tenant } as const)
      : ({ case: 'principal', value: wirePrincipal(caller) } as const);
  return { who, resource };
}

/**
 * Who looks on whose behalf another emesher calls, and may.
 *
 * @throws PermissionDenied; InvalidArgument when it does not say.
 */
export async function inspectorFromWire(
  given: WireInspector | undefined,
  sessionOf: (principal: Principal) => Promise<CallerSession>,
): Promise<Inspector> {
  if (given === undefined) throw invalid('inspector', 'is missing');
  const { who } = given;
  const resource = resourceOf(given.resource);
  if (who.case === 'tenant') return { tenant: who.value, caller: undefined, resource };
  if (who.case !== 'principal') throw invalid('inspector.who', 'is missing');
  const caller = await sessionOf(who.value);
  if (!caller.grants.can(Action.INSPECT, resource)) throw denied('inspect', resource);
  return { tenant: caller.principal.tenant, caller, resource };
}

function resourceOf(text: string): Inspector['resource'] {
  if (text === 'trace' || text === 'why' || text === 'ledger') return text;
  throw invalid('inspector.resource', `"${text}" is none of trace, why and ledger`);
}
