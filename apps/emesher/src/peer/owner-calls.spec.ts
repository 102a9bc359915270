import { describe, expect, it } from '@jest/globals';
import { MeshError, unavailable } from '@eventmesh/errors';
import { OwnerCalls, type OwnerCall } from './owner-calls.ts';
import type { Peer } from './peers.ts';

const HOUR_MS = 3_600_000;
const elsewhere = (member = 'm2') =>
  new MeshError('Unavailable', `it is served by ${member}`, {
    reason: 'OWNED_ELSEWHERE',
    facts: { member },
  });
const fenced = () => new MeshError('Aborted', 'another emesher is at it', { reason: 'FENCED' });

interface Given {
  /** What each attempt here comes to; the last one is repeated. */
  readonly here: readonly (string | MeshError)[];
  readonly there?: readonly (string | MeshError)[];
  readonly waitMs?: number;
  readonly callable?: boolean;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

function setUp({ here, there = [], waitMs = HOUR_MS, callable = true, ...more }: Given) {
  const seen: string[] = [];
  const pauses: number[] = [];
  const left = new AbortController();
  const next = (script: readonly (string | MeshError)[], at: string): Promise<string> => {
    const outcome = script[Math.min(seen.filter((each) => each === at).length, script.length - 1)];
    seen.push(at);
    return outcome instanceof MeshError
      ? Promise.reject(outcome)
      : Promise.resolve(outcome ?? 'nothing');
  };
  const owners = new OwnerCalls({
    peers: {
      callable,
      owner: (error) =>
        callable ? Promise.resolve({ id: 'm2', left: left.signal } as Peer) : Promise.reject(error),
    },
    pause(ms) {
      pauses.push(ms);
      return Promise.resolve();
    },
    waitMs,
  });
  const call: OwnerCall<string> = {
    what: 'the letters',
    here: () => next(here, 'here'),
    there: () => next(there, 'there'),
    ...more,
  };
  return { run: () => owners.run(call), seen, pauses };
}

describe('a call for the owner of a name', () => {
  it('is done here while nobody else owns it', async () => {
    const { run, seen } = setUp({ here: ['done'] });
    expect(await run()).toBe('done');
    expect(seen).toEqual(['here']);
  });

  it('is passed on to the owner', async () => {
    const { run, seen } = setUp({ here: [elsewhere()], there: ['done there'] });
    expect(await run()).toBe('done there');
    expect(seen).toEqual(['here', 'there']);
  });

  it('follows an owner that moves', async () => {
    const { run, seen } = setUp({
      here: [elsewhere(), fenced(), elsewhere()],
      there: [elsewhere('m3'), 'done'],
    });
    expect(await run()).toBe('done');
    expect(seen).toEqual(['here', 'there', 'here', 'here', 'there']);
  });

  it('waits for the lease of an owner that is dead, and is done here then', async () => {
    const { run, seen, pauses } = setUp({
      here: [elsewhere(), elsewhere(), elsewhere(''), 'taken over'],
      there: [unavailable('connection refused')],
    });
    expect(await run()).toBe('taken over');
    expect(seen.filter((each) => each === 'here')).toHaveLength(4);
    expect(pauses).toHaveLength(3);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1000);
  });

  it('says in the end that the owner does not answer, and why', async () => {
    const { run } = setUp({
      here: [elsewhere()],
      there: [unavailable('connection refused')],
      waitMs: 0,
    });
    await expect(run()).rejects.toMatchObject({
      code: 'Unavailable',
      reason: 'NO_OWNER',
      message: expect.stringContaining('connection refused'),
    });
  });

  it('answers before the deadline of its caller', async () => {
    const { run, pauses } = setUp({
      here: [elsewhere()],
      there: [unavailable('connection refused')],
      deadlineMs: Date.now() + 200,
    });
    await expect(run()).rejects.toMatchObject({ reason: 'NO_OWNER' });
    expect(pauses).toEqual([]);
  });

  it('ends with its caller', async () => {
    const { run, seen } = setUp({ here: [elsewhere()], signal: AbortSignal.abort() });
    await expect(run()).resolves.toBe('nothing');
    expect(seen).toEqual(['here', 'there']);
    const dead = setUp({ here: [fenced()], signal: AbortSignal.abort() });
    await expect(dead.run()).rejects.toMatchObject({ reason: 'FENCED' });
  });

  it('names the owner when there is no token to call it with', async () => {
    const { run } = setUp({ here: [elsewhere()], callable: false, waitMs: 0 });
    await expect(run()).rejects.toMatchObject({
      reason: 'OWNED_ELSEWHERE',
      details: { facts: { member: 'm2' } },
    });
  });

  it.each([
    ['here', { here: [new MeshError('PermissionDenied', 'no')] }],
    ['here, because the store is away', { here: [unavailable('the store is away')] }],
    ['there', { here: [elsewhere()], there: [new MeshError('PermissionDenied', 'no')] }],
  ])('is not tried again when it is refused %s', async (_, given) => {
    const { run, pauses } = setUp(given);
    await expect(run()).rejects.toBeInstanceOf(MeshError);
    expect(pauses).toEqual([]);
  });
});
