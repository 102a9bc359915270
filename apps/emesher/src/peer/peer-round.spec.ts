import { describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { createLogger } from '@eventmesh/telemetry';
import { PeerRound } from './peer-round.ts';
import type { Peer } from './peers.ts';

const ids = (count: number) => Array.from({ length: count }, (_, n) => `m${100 + n}`);

/** A site of so many other emeshers, of which some fail; and who was asked. */
function setUp(
  members: readonly string[],
  failing: readonly string[] = [],
  callable = true,
  left = new AbortController().signal,
) {
  const asked: string[] = [];
  const peer = (id: string) => ({ id, client: { id }, left }) as unknown as Peer;
  const round = new PeerRound({
    site: 'west',
    member: 'm0',
    directory: { sisters: members.map((id) => ({ id })) },
    peers: { callable, all: callable ? members.map(peer) : [] },
    logger: createLogger({ level: 'silent', service: 'test', site: 'west' }),
  });
  const ask = (answering: (id: string) => string = (id) => id) =>
    round.ask((client, { timeoutMs }) => {
      const { id } = client as unknown as { readonly id: string };
      asked.push(id);
      expect(timeoutMs).toBeLessThanOrEqual(1000);
      if (!failing.includes(id)) {
        return Promise.resolve({ member: answering(id), answer: `answer of ${id}` });
      }
      return Promise.reject(new MeshError('DeadlineExceeded', 'too late'));
    });
  return { round, ask, asked };
}

describe('a question to the other emeshers of a site', () => {
  it('is answered by those that answer; the others are named, and not asked again', async () => {
    const { round, ask, asked } = setUp(['m1', 'm2', 'm3'], ['m2']);
    const answers = [
      ['m1', 'answer of m1'],
      ['m3', 'answer of m3'],
    ];
    expect(await ask()).toEqual(answers);
    expect(await ask()).toEqual(answers);
    expect(asked).toEqual(['m1', 'm2', 'm3', 'm1', 'm3']);
    round.note('m3', 'it has more to tell');
    expect(round.silent).toEqual([
      { site: 'west', emesher: 'm2', reason: 'it did not answer: DeadlineExceeded: too late' },
      { site: 'west', emesher: 'm3', reason: 'it has more to tell' },
    ]);
  });

  it('is not answered by another one at the address of one that has gone, which is named', async () => {
    const { round, ask, asked } = setUp(['m1', 'm2']);
    const answers = [['m1', 'answer of m1']];
    expect(await ask((id) => (id === 'm2' ? 'm0' : id))).toEqual(answers);
    expect(await ask()).toEqual(answers);
    expect(asked).toEqual(['m1', 'm2', 'm1']);
    expect(round.silent).toEqual([
      { site: 'west', emesher: 'm2', reason: 'it has gone: m0 answers at its address' },
    ]);
  });

  it('is answered by one of an older version, which does not say who it is', async () => {
    const { round, ask } = setUp(['m1']);
    expect(await ask(() => '')).toEqual([['m1', 'answer of m1']]);
    expect(round.silent).toEqual([]);
  });

  it('says so when one leaves while it is asked', async () => {
    const leaving = new AbortController();
    const { round } = setUp(['m1'], [], true, leaving.signal);
    await round.ask(() => {
      leaving.abort();
      return Promise.reject(new MeshError('Cancelled', 'x'));
    });
    expect(round.silent).toEqual([
      { site: 'west', emesher: 'm1', reason: 'it left the site while it was asked' },
    ]);
  });

  it('goes to nobody without a service token, and that is said', async () => {
    const { round, ask } = setUp(['m1'], [], false);
    expect(await ask()).toEqual([]);
    expect(round.silent).toEqual([
      { site: 'west', emesher: 'm1', reason: expect.stringContaining('no service token') },
    ]);
  });

  it('goes to a bounded number of them, and the rest are named', async () => {
    const { round, ask } = setUp(ids(70));
    expect(await ask()).toHaveLength(64);
    expect(round.silent).toHaveLength(6);
    expect(round.silent[0]?.reason).toBe('a site asks at most 64 of its emeshers');
  });
});
