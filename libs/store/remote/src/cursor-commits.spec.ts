import { describe, expect, it } from '@jest/globals';
import type { EventStoreService } from '@eventmesh/proto-gen/store';
import { Router, createClient, localTransport } from '@eventmesh/rpc';
import { EventStoreService as Service } from '@eventmesh/proto-gen/store';
import type { CursorCommit } from '@eventmesh/store-api';
import { CursorCommits } from './cursor-commits.ts';

const commits = (count: number): CursorCommit[] =>
  Array.from({ length: count }, (_, n) => ({
    id: { log: 'log', partition: 0, subscription: `s${n}` },
    cursor: { floor: 1, settled: [], epoch: 1, state: Buffer.alloc(0) },
  }));

/** A gateway that answers when it is let go. */
function rig(waitingMax: number) {
  const gate = Promise.withResolvers<void>();
  const calls: number[] = [];
  const impl = {
    async commitCursors({ commits: given }: { commits: readonly unknown[] }) {
      calls.push(given.length);
      await gate.promise;
      return { fenced: [] };
    },
  };
  const router = new Router().service(Service, impl as never);
  const client = createClient<typeof EventStoreService>(Service, localTransport(router));
  return { cursors: new CursorCommits(client, waitingMax), calls, letGo: () => gate.resolve() };
}

describe('cursors on their way to the store-gateway', () => {
  it('are refused beyond the bound while a call is under way, and taken afterwards', async () => {
    const { cursors, calls, letGo } = rig(10);
    const sent = cursors.commit(commits(8));
    expect(cursors.waiting).toBe(0);
    const waiting = [cursors.commit(commits(6)), cursors.commit(commits(4))];
    expect(cursors.waiting).toBe(10);
    await expect(cursors.commit(commits(1))).rejects.toMatchObject({
      code: 'ResourceExhausted',
      details: { reason: 'STORE_BUSY', limit: '10 cursors' },
    });
    letGo();
    await Promise.all([sent, ...waiting]);
    expect(cursors.waiting).toBe(0);
    expect(calls).toEqual([8, 10]);
  });

  it('are never too many in one list, which could not be written at all then', async () => {
    const { cursors, letGo } = rig(10);
    const sent = cursors.commit(commits(1));
    const large = cursors.commit(commits(600));
    letGo();
    await expect(Promise.all([sent, large])).resolves.toEqual([[], []]);
  });
});
