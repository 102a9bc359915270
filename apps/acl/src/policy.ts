import { filterCovers, topicMatches } from '@eventmesh/event';
import { newEnforcer, newModel, type Enforcer } from 'casbin';
import type { Directory } from './directory.ts';
import type { ActionName } from './names.ts';
import { POLICY_MODEL } from './policy-model.ts';
import type { AssignmentRecord, PolicyRecord } from './records.ts';

/** Who asks; `subject` as in policies, `roles` those that the identity itself carries. */
export interface Asker {
  readonly tenant: string;
  readonly subject: string;
  readonly roles: readonly string[];
}

/**
 * Whether a policy's filter covers what is asked for. Publishing is to a concrete topic; a
 * subscription's filter must be covered whole; resource names are read like topics. What starts
 * with `$` is reserved and covered by nothing.
 */
export function covers(action: string, resource: string, filter: string): boolean {
  if (resource === '' || resource.startsWith('$')) return false;
  if (action !== 'publish') return filterCovers(filter, resource);
  return !/[+#]/.test(resource) && topicMatches(filter, resource);
}

/** One decision by the full casbin model; slow, and the truth that compiled grants are held to. */
export interface PolicyEnforcer {
  enforce(asker: Asker, action: ActionName, resource: string): Promise<boolean>;
}

/** An enforcer over policies and role assignments of any tenants. */
export async function createPolicyEnforcer(
  policies: readonly PolicyRecord[],
  assignments: readonly AssignmentRecord[],
): Promise<PolicyEnforcer> {
  const enforcer: Enforcer = await newEnforcer(newModel(POLICY_MODEL));
  await enforcer.addFunction('covers', covers);
  const lines = policies.map(({ subject, tenant, action, filter, deny }) => [
    subject,
    tenant,
    action,
    filter,
    deny ? 'deny' : 'allow',
  ]);
  if (lines.length > 0) await enforcer.addPolicies(lines);
  const links = assignments.map(({ subject, role, tenant }) => [subject, `role:${role}`, tenant]);
  if (links.length > 0) await enforcer.addGroupingPolicies(links);
  // Also ties the model to the role manager, which no link at all would leave undone.
  await enforcer.buildRoleLinks();
  return {
    async enforce({ tenant, subject, roles }, action, resource) {
      // The roles an identity carries are links for the time of the question only. The asker has a
      // name that no subject can have, so that questions at the same time do not meet.
      const asker = `? ${JSON.stringify([subject, roles])}`;
      const manager = enforcer.getRoleManager();
      for (const parent of [subject, ...roles.map((role) => `role:${role}`)]) {
        await manager.addLink(asker, parent, tenant);
      }
      return enforcer.enforce(asker, tenant, action, resource);
    },
  };
}

/** An asker leaves a name behind in the enforcer; after so many it is built anew. */
const ASKS_MAX = 10_000;

interface Built {
  readonly version: number;
  readonly enforcer: Promise<PolicyEnforcer>;
  asks: number;
}

/** The enforcers of a directory, one a tenant, built when first asked after a change. */
export class DirectoryPolicy {
  readonly #directory: Directory;
  readonly #built = new Map<string, Built>();

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  async enforce(asker: Asker, action: ActionName, resource: string): Promise<boolean> {
    const { version } = this.#directory;
    let built = this.#built.get(asker.tenant);
    if (built === undefined || built.version !== version || built.asks >= ASKS_MAX) {
      const { policies, assignments } = this.#directory.tenant(asker.tenant);
      built = { version, enforcer: createPolicyEnforcer(policies, assignments), asks: 0 };
      // Of a tenant without policy nothing is kept: its name may be any a caller comes up with.
      if (policies.length > 0) this.#built.set(asker.tenant, built);
    }
    built.asks++;
    return (await built.enforcer).enforce(asker, action, resource);
  }
}
