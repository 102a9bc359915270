import { afterAll, describe, expect, it } from '@jest/globals';
import { Workspace } from './run-mesh.ts';

interface Proof {
  readonly proven: boolean;
  readonly events: number;
  readonly subscriptions: readonly {
    readonly accepted: number;
    readonly delivered: number;
    readonly filtered: number;
  }[];
}

describe('mesh demo', () => {
  const workspace = new Workspace();
  afterAll(() => workspace.remove());

  const prove = async (...more: string[]): Promise<void> => {
    const { code, out, err } = await workspace.run('demo', '--json', ...more);
    expect([code, code === 0 ? '' : err]).toEqual([0, '']);
    const proof = JSON.parse(out) as Proof;
    expect(proof.proven).toBe(true);
    expect(proof.subscriptions).toHaveLength(10);
    for (const { accepted, delivered, filtered } of proof.subscriptions) {
      expect([accepted, delivered + filtered]).toEqual([proof.events, proof.events]);
    }
  };

  it('proves its books on real input, on two embedded sites', () => prove(), 120_000);

  it(
    'proves them on ten services with real etcd and nats-server',
    () => prove('--services'),
    600_000,
  );
});
