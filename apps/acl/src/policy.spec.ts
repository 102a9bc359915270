import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import { compileGrants } from '@eventmesh/clients';
import { checkGraph } from './changes.ts';
import { ACTION_NAMES, type ActionName } from './names.ts';
import { covers, createPolicyEnforcer, type Asker } from './policy.ts';
import type { AssignmentRecord, PolicyRecord } from './records.ts';

const TENANTS = ['t1', 't2'];
const SUBJECTS = ['user:ann', 'key:ann', 'role:r1', 'role:r2', 'role:r3'];
const ACTIONS = Object.keys(ACTION_NAMES) as ActionName[];

const levels = (...extra: string[]) =>
  fc.array(fc.constantFrom('a', 'b', '', ...extra), { minLength: 1, maxLength: 4 });
const filter = fc
  .tuple(levels('+'), fc.boolean())
  .map(([parts, hash]) => [...parts, ...(hash ? ['#'] : [])].join('/'))
  .filter((text) => text !== '');
const resource = fc
  .oneof(
    levels().map((parts) => parts.join('/')),
    filter,
    fc.constantFrom('$SYS', '$mesh/a', '#', '+'),
  )
  .filter((text) => text !== '');
const policy: fc.Arbitrary<PolicyRecord> = fc.record({
  type: fc.constant('policy' as const),
  tenant: fc.constantFrom(...TENANTS),
  subject: fc.constantFrom(...SUBJECTS),
  action: fc.constantFrom(...ACTIONS),
  filter,
  deny: fc.boolean(),
});
const assignment: fc.Arbitrary<AssignmentRecord> = fc.record({
  type: fc.constant('assignment' as const),
  tenant: fc.constantFrom(...TENANTS),
  subject: fc.constantFrom(...SUBJECTS),
  role: fc.constantFrom('r1', 'r2', 'r3'),
});
const asker: fc.Arbitrary<Asker> = fc.record({
  tenant: fc.constantFrom(...TENANTS),
  subject: fc.constantFrom('user:ann', 'key:ann', 'token:ann'),
  roles: fc.subarray(['r1', 'r3']),
});

/**
 * What the policy means, written down without casbin, tries or any code of the product: the
 * shortest thing that can be read and believed.
 */
function oracle(
  policies: readonly PolicyRecord[],
  assignments: readonly AssignmentRecord[],
  who: Asker,
  action: ActionName,
  on: string,
): boolean {
  const subjects = [who.subject, ...who.roles.map((role) => `role:${role}`)];
  for (let grown = true; grown;) {
    const more = assignments
      .filter((link) => link.tenant === who.tenant && subjects.includes(link.subject))
      .map((link) => `role:${link.role}`)
      .filter((role) => !subjects.includes(role));
    subjects.push(...more);
    grown = more.length > 0;
  }
  const matching = policies.filter(
    (line) =>
      line.tenant === who.tenant &&
      subjects.includes(line.subject) &&
      line.action === action &&
      // Every topic has a first level.
      includesAll((line.filter === '+/#' ? '#' : line.filter).split('/'), on.split('/')),
  );
  const reserved = on.startsWith('$');
  const wild = action === 'publish' && /[+#]/.test(on);
  return !reserved && !wild && matching.length > 0 && matching.every((line) => !line.deny);
}

/** Whether every topic of the inner filter is one of the outer's. */
function includesAll(outer: readonly string[], inner: readonly string[]): boolean {
  const [first, ...rest] = outer;
  if (first === '#') return true;
  if (first === undefined || inner.length === 0) return first === undefined && inner.length === 0;
  const [level, ...below] = inner;
  if (level === '#') return false;
  return (first === '+' || first === level) && includesAll(rest, below);
}

const acyclic = (assignments: readonly AssignmentRecord[]): boolean =>
  TENANTS.every((tenant) => {
    try {
      checkGraph(assignments.filter((link) => link.tenant === tenant));
      return true;
    } catch {
      return false;
    }
  });

/** The grants as the service hands them out: the lines of the subject and of all its roles. */
function compiled(policies: PolicyRecord[], assignments: AssignmentRecord[], who: Asker) {
  const found = new Set([who.subject, ...who.roles.map((role) => `role:${role}`)]);
  for (const member of found) {
    for (const link of assignments) {
      if (link.tenant === who.tenant && link.subject === member) found.add(`role:${link.role}`);
    }
  }
  return compileGrants(
    policies
      .filter((line) => line.tenant === who.tenant && found.has(line.subject))
      .map((line) => ({
        action: ACTION_NAMES[line.action],
        topicFilter: line.filter,
        deny: line.deny,
      })),
  );
}

describe('the policy', () => {
  it('means the same to casbin, to compiled grants and to an independent oracle', async () => {
    const all = fc.record({
      policies: fc.array(policy, { maxLength: 12 }),
      assignments: fc.array(assignment, { maxLength: 4 }).filter(acyclic),
      questions: fc.array(fc.tuple(asker, fc.constantFrom(...ACTIONS), resource), {
        minLength: 34,
        maxLength: 34,
      }),
    });
    await fc.assert(
      fc.asyncProperty(all, async ({ policies, assignments, questions }) => {
        const enforcer = await createPolicyEnforcer(policies, assignments);
        for (const [who, action, on] of questions) {
          const expected = oracle(policies, assignments, who, action, on);
          expect(await enforcer.enforce(who, action, on)).toBe(expected);
          const grants = compiled(policies, assignments, who);
          expect(grants.allows(ACTION_NAMES[action], on)).toBe(expected);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('allows nothing when it is empty', async () => {
    const enforcer = await createPolicyEnforcer([], []);
    const who = { tenant: 't1', subject: 'user:ann', roles: ['admin'] };
    expect(await enforcer.enforce(who, 'publish', 'a')).toBe(false);
  });

  it('takes a user called like a role for no more than that user', async () => {
    const line = {
      type: 'policy',
      tenant: 't1',
      action: 'admin',
      filter: '#',
      deny: false,
    } as const;
    const enforcer = await createPolicyEnforcer([{ ...line, subject: 'role:admin' }], []);
    const who = { tenant: 't1', subject: 'user:admin', roles: [] };
    expect(await enforcer.enforce(who, 'admin', 'acl')).toBe(false);
    expect(await enforcer.enforce({ ...who, roles: ['admin'] }, 'admin', 'acl')).toBe(true);
  });

  it.each([
    ['a/b', 'a/bc'],
    ['a', 'a/b'],
    ['a.b', 'axb'],
    ['a/*', 'a/b'],
    ['.*', 'a'],
    ['eval(1==1)', 'a'],
  ])('reads the filter %s as a topic filter and as nothing else: not %s', (one, topic) => {
    expect(covers('publish', topic, one)).toBe(false);
  });
});
