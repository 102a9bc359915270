import { afterAll, describe, expect, it } from '@jest/globals';
import { Workspace } from './run-mesh.ts';

describe('mesh demo', () => {
  const workspace = new Workspace();
  afterAll(() => workspace.remove());

  it('proves its books on real input and leaves nothing behind', async () => {
    const { code, out, err } = await workspace.run('demo', '--json');
    expect([code, code === 0 ? '' : err]).toEqual([0, '']);
    const proof = JSON.parse(out) as {
      proven: boolean;
      events: number;
      subscriptions: { accepted: number; delivered: number; filtered: number }[];
    };
    expect(proof.proven).toBe(true);
    expect(proof.subscriptions).toHaveLength(10);
    for (const { accepted, delivered, filtered } of proof.subscriptions) {
      expect([accepted, delivered + filtered]).toEqual([proof.events, proof.events]);
    }
  }, 60_000);
});
