import { describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { Retries } from './retries.ts';

const unavailable = () => new MeshError('Unavailable', 'away');
const FAR_MS = 60_000;

/** Fails so often, and then answers. */
function failing(times: number, error: () => Error = unavailable) {
  const deadlines: number[] = [];
  const once = (deadlineMs: number): Promise<string> => {
    deadlines.push(deadlineMs);
    return deadlines.length <= times ? Promise.reject(error()) : Promise.resolve('done');
  };
  return { deadlines, once };
}

describe('retries', () => {
  it('are three attempts at most, all of them with the deadline of the call', async () => {
    const deadline = Date.now() + FAR_MS;
    const twice = failing(2);
    expect(await new Retries().run(twice.once, deadline, undefined)).toBe('done');
    expect(twice.deadlines).toEqual([deadline, deadline, deadline]);
    const thrice = failing(3);
    await expect(new Retries().run(thrice.once, deadline, undefined)).rejects.toMatchObject({
      code: 'Unavailable',
    });
    expect(thrice.deadlines).toHaveLength(3);
  });

  it('are not made when the deadline is over', async () => {
    const { deadlines, once } = failing(1);
    await expect(new Retries().run(once, Date.now(), undefined)).rejects.toMatchObject({
      code: 'Unavailable',
    });
    expect(deadlines).toHaveLength(1);
  });

  it.each(['DeadlineExceeded', 'PermissionDenied', 'Internal'] as const)(
    'are not made after %s',
    async (code) => {
      const { deadlines, once } = failing(1, () => new MeshError(code, 'no'));
      const call = new Retries().run(once, Date.now() + FAR_MS, undefined);
      await expect(call).rejects.toMatchObject({ code });
      expect(deadlines).toHaveLength(1);
    },
  );

  it('are made of a call that must not be done twice only when the mesh has refused it', async () => {
    const refusal = () => new MeshError('Unavailable', 'draining', { reason: 'DRAINING' });
    const run = ({ once }: ReturnType<typeof failing>) =>
      new Retries().run(once, Date.now() + FAR_MS, undefined, 'refused');
    const refused = failing(1, refusal);
    expect(await run(refused)).toBe('done');
    expect(refused.deadlines).toHaveLength(2);
    const broken = failing(1);
    await expect(run(broken)).rejects.toMatchObject({ code: 'Unavailable' });
    expect(broken.deadlines).toHaveLength(1);
  });

  it('stop while most calls fail, and are made again once calls succeed', async () => {
    const retries = new Retries();
    const attempts = async (times: number) => {
      const { deadlines, once } = failing(times);
      await retries.run(once, Date.now() + FAR_MS, undefined).catch(() => undefined);
      return deadlines.length;
    };
    expect([await attempts(3), await attempts(3), await attempts(3)]).toEqual([3, 2, 1]);
    for (let n = 0; n < 30; n++) await attempts(0);
    expect(await attempts(1)).toBe(2);
  });

  it('end with the signal of the caller, also between two attempts', async () => {
    const leave = new AbortController();
    const { deadlines, once } = failing(9);
    const call = new Retries().run(once, Date.now() + FAR_MS, leave.signal);
    leave.abort(new MeshError('Cancelled', 'left'));
    await expect(call).rejects.toMatchObject({ code: 'Cancelled' });
    expect(deadlines).toHaveLength(1);
  });
});
