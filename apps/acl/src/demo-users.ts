import { randomBytes } from 'node:crypto';
import type { Changes } from './changes.ts';
import { DEFAULT_TENANT, type ActionName } from './names.ts';

/** A generated user; the password is in clear only here, for the one that asked. */
export interface DemoUser {
  readonly tenant: string;
  readonly name: string;
  readonly password: string;
  readonly roles: readonly string[];
}

const ROLES: Readonly<Record<string, readonly ActionName[]>> = Object.freeze({
  admin: ['admin', 'inspect', 'publish', 'subscribe'],
  publisher: ['publish'],
  subscriber: ['subscribe'],
});

/**
 * Makes users for trying out: `admin`, `publisher` and `subscriber`, each with the role of its
 * name, which may do on everything what the name says. Existing ones get a new password.
 */
export async function putDemoUsers(changes: Changes): Promise<DemoUser[]> {
  const users: DemoUser[] = [];
  for (const [role, actions] of Object.entries(ROLES)) {
    const password = randomBytes(12).toString('base64url');
    const user = { tenant: DEFAULT_TENANT, name: role, roles: [role] };
    await changes.putUser({ ...user, disabled: false }, password);
    for (const action of actions) {
      const subject = `role:${role}`;
      await changes.putPolicy({
        tenant: DEFAULT_TENANT,
        subject,
        action,
        filter: '#',
        deny: false,
      });
    }
    users.push({ ...user, password });
  }
  return users;
}
