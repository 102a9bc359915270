import { afterEach, describe, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import { tempDir } from '@eventmesh/testing';
import { startAcl } from '../test/acl-fixture.ts';
import { checkBootstrap } from './bootstrap.ts';

const GOOD = `
users:
  - { name: ann, password: { value: ann-password }, roles: [publisher] }
roles:
  - { subject: role:publisher, role: base }
policies:
  - { subject: role:base, action: publish, filters: ['a/#', 'b/+'] }
  - { subject: user:ann, action: publish, filters: ['a/secret'], deny: true }
`;

describe('checkBootstrap', () => {
  it('finds nothing wrong with a good file or an empty one', () => {
    expect(checkBootstrap(GOOD)).toEqual([]);
    expect(checkBootstrap('')).toEqual([]);
  });

  it('lists every problem of the form at once', () => {
    const problems = checkBootstrap(`
users:
  - { name: 'a/b', password: { value: x } }
  - { name: bob }
rules: []
policies:
  - { subject: ann, action: fly, filters: [a] }
`);
    expect(problems.join('\n')).toMatch(/unknown key "rules"/);
    expect(problems.join('\n')).toMatch(/users\[0\]\.name/);
    expect(problems.join('\n')).toMatch(/users\[1\]: missing key "password"/);
    expect(problems.join('\n')).toMatch(/policies\[0\]\.subject/);
    expect(problems.join('\n')).toMatch(/policies\[0\]\.action: must be one of publish/);
  });

  it('lists every problem of the meaning at once, without repeating passwords', () => {
    const problems = checkBootstrap(`
users:
  - { name: ann, password: { value: short } }
  - { name: ann, password: { value: long-enough } }
roles:
  - { subject: role:a, role: b }
  - { subject: role:b, role: a }
policies:
  - { subject: user:ann, action: publish, filters: ['a/#/b', '$SYS/#', ok] }
  - { subject: user:ann, action: publish, filters: [] }
`);
    expect(problems).toHaveLength(6);
    expect(problems.join('\n')).not.toContain('short');
    expect(problems.join('\n')).toMatch(/cycle/);
    expect(problems.join('\n')).toMatch(/reserved/);
  });

  it.each(['{', 'users: 5', '[]', 'users: [[]]'])('tells that %s is no bootstrap', (source) => {
    expect(checkBootstrap(source)).not.toEqual([]);
  });
});

describe('the bootstrap file', () => {
  const stops: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  async function started(dir: string, source: string, apply: string) {
    const file = join(dir, 'bootstrap.yaml');
    writeFileSync(file, source);
    const kv = await openEmbeddedKv({ dir: join(dir, 'kv') });
    const acl = await startAcl({ kv, settings: { bootstrap: { file, apply } } });
    stops.push(() => acl.stop());
    return acl;
  }

  const login = (acl: Awaited<ReturnType<typeof started>>, password: string) =>
    acl.acl.authenticate({
      credential: { credential: { case: 'password', value: { user: 'ann', password } } },
    });

  it('fills an empty store and leaves a filled one alone', async () => {
    const dir = tempDir('acl-bootstrap');
    stops.push(() => dir.remove());
    const first = await started(dir.path, GOOD, 'when-empty');
    const { grants, revision } = await login(first, 'ann-password');
    expect(
      grants.map(({ topicFilter, deny }) => `${deny ? '-' : '+'}${topicFilter}`).sort(),
    ).toEqual(['+a/#', '+b/+', '-a/secret']);
    await stops.pop()?.();

    const changed = GOOD.replaceAll('ann-password', 'new-password');
    const second = await started(dir.path, changed, 'when-empty');
    expect((await login(second, 'ann-password')).revision).toBe(revision);
  });

  it('applied always changes what differs and raises the revision only then', async () => {
    const dir = tempDir('acl-bootstrap');
    stops.push(() => dir.remove());
    const first = await started(dir.path, GOOD, 'always');
    const { revision } = await login(first, 'ann-password');
    await stops.pop()?.();
    const second = await started(dir.path, GOOD, 'always');
    expect((await login(second, 'ann-password')).revision).toBe(revision);
    await stops.pop()?.();
    const third = await started(dir.path, GOOD.replaceAll('ann-p', 'new-p'), 'always');
    await expect(login(third, 'ann-password')).rejects.toMatchObject({ code: 'Unauthenticated' });
    expect((await login(third, 'new-password')).revision).toBeGreaterThan(revision);
  });

  it('larger than one transaction is applied whole', async () => {
    const dir = tempDir('acl-bootstrap');
    stops.push(() => dir.remove());
    const filters = JSON.stringify(Array.from({ length: 350 }, (_, index) => `t/${index}`));
    const source = `${GOOD}  - { subject: user:ann, action: subscribe, filters: ${filters} }\n`;
    const acl = await started(dir.path, source, 'when-empty');
    const { grants } = await login(acl, 'ann-password');
    expect(grants).toHaveLength(353);
  });
});
