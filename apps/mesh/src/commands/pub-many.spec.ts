import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { MeshError, type Receipt } from '@eventmesh/sdk';
import { publishMany, type Published } from './pub-many.ts';

const RECEIPT = { site: 'west' } as Receipt;

/** A stream whose answers the test gives, oldest first. */
function rig() {
  const open: PromiseWithResolvers<Receipt>[] = [];
  let asked = 0;
  const stream = {
    publish: () => {
      const answer = Promise.withResolvers<Receipt>();
      open.push(answer);
      return answer.promise;
    },
    close: async () => {
      await Promise.allSettled(open.map(({ promise }) => promise));
    },
  };
  const events = async function* () {
    for (;;) yield { id: String(asked++), source: '/s', type: 't' };
  };
  const told: Published[] = [];
  const stop = new AbortController();
  const tell = (published: Published) => told.push(published);
  const done = publishMany(stream, 'a', events(), {}, tell, stop);
  return { open, told, stop, done, asked: () => asked };
}

describe('publishing events without end', () => {
  it('asks for no more than may be unanswered, and tells of each as it is answered', async () => {
    const { open, told, stop, done, asked } = rig();
    while (asked() < 4096) await turn();
    for (let n = 0; n < 10; n++) await turn();
    expect([asked(), told.length]).toEqual([4096, 0]);
    for (const answer of open.slice(0, 100)) answer.resolve(RECEIPT);
    while (asked() < 4196) await turn();
    expect(told.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, n) => String(n)));
    stop.abort();
    for (const answer of open) answer.resolve(RECEIPT);
    const { published, sent, refused } = await done;
    expect(published).toBe(sent);
    expect(sent).toBeLessThanOrEqual(asked());
    expect(refused).toBeUndefined();
  });

  it('ends when one is refused, and tells of the others', async () => {
    const { open, told, done, asked } = rig();
    while (asked() < 4096) await turn();
    open[0]?.resolve(RECEIPT);
    open[1]?.reject(new MeshError('ResourceExhausted', 'slower'));
    for (const answer of open.slice(2)) answer.resolve(RECEIPT);
    await turn();
    for (const answer of open) answer.resolve(RECEIPT);
    const { published, sent, refused } = await done;
    expect(refused?.code).toBe('ResourceExhausted');
    expect([published, told.length]).toEqual([sent - 1, sent - 1]);
  });
});
