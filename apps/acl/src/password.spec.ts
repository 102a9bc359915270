import { describe, expect, it } from '@jest/globals';
import { checkPassword, hashPassword, passwordMatches } from './password.ts';
import { WorkLimit } from './work-limit.ts';

const cost = { costLog2: 10, blockSize: 8, parallel: 1 };

describe('passwords', () => {
  it('match their own hash and no other', async () => {
    const stored = await hashPassword('correct horse', cost);
    expect(await passwordMatches('correct horse', stored)).toBe(true);
    expect(await passwordMatches('correct horsf', stored)).toBe(false);
  });

  it('are salted: equal ones hash differently', async () => {
    const hashes = await Promise.all([1, 2].map(() => hashPassword('correct horse', cost)));
    expect(hashes[0]).not.toBe(hashes[1]);
  });

  it('carry their cost, so that a hash outlives a change of the default', async () => {
    const stored = await hashPassword('correct horse', { ...cost, costLog2: 11 });
    expect(stored).toMatch(/^scrypt\$11\$8\$1\$/);
    expect(await passwordMatches('correct horse', stored)).toBe(true);
  });

  it.each([['1234567'], ['x'.repeat(1025)]])('have 8 to 1,024 bytes', (password) => {
    expect(() => checkPassword(password, 'password')).toThrow(/8 to 1024 bytes/);
  });

  it.each(['', 'plain', 'scrypt$10$8$1$AA==$AA==', 'md5$x'])(
    'tell a malformed stored hash: "%s"',
    async (stored) => {
      await expect(passwordMatches('correct horse', stored)).rejects.toMatchObject({
        code: 'DataLoss',
      });
    },
  );
});

describe('WorkLimit', () => {
  it('runs as many as allowed, lets some wait and refuses the rest', async () => {
    const limit = new WorkLimit(2, 1);
    const ends: (() => void)[] = [];
    const work = () => limit.run(() => new Promise<void>((resolve) => ends.push(resolve)));
    const first = [work(), work(), work()];
    await expect(work()).rejects.toMatchObject({ code: 'ResourceExhausted' });
    expect(ends).toHaveLength(2);
    ends[0]?.();
    await first[0];
    expect(ends).toHaveLength(3);
    ends[1]?.();
    ends[2]?.();
    await Promise.all(first);
    await expect(limit.run(() => Promise.resolve('free again'))).resolves.toBe('free again');
  });
});
