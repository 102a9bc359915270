import { describe, expect, it } from '@jest/globals';
import { AsyncQueue } from '@eventmesh/rpc';
import { inOrder } from './in-order.ts';
import { PublishWindow, type Load } from './publish-window.ts';

/** Work that ends when it is told to. */
function rig(eventsMax: number, bytesMax: number) {
  const window = new PublishWindow(eventsMax, bytesMax);
  const inputs = new AsyncQueue<Load>();
  const begun: PromiseWithResolvers<number>[] = [];
  const work = () => {
    const done = Promise.withResolvers<number>();
    begun.push(done);
    return done.promise;
  };
  const results = inOrder(inputs, work, (load) => load, window);
  return { window, inputs, begun, results };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('frames of a publish stream', () => {
  it.each([
    ['events', 4, 1000, { events: 2, bytes: 1 }],
    ['bytes', 1000, 4, { events: 1, bytes: 2 }],
  ])('are read no further while the %s are at the bound', async (_, eventsMax, bytesMax, load) => {
    const { window, inputs, begun, results } = rig(eventsMax, bytesMax);
    for (let frame = 0; frame < 5; frame++) inputs.push(load);
    const first = results.next();
    await turn();
    expect(begun).toHaveLength(2);
    begun[0]?.resolve(1);
    expect((await first).value).toBe(1);
    await turn();
    expect(begun).toHaveLength(3);
    expect([window.events, window.bytes]).toEqual([2 * load.events, 2 * load.bytes]);
  });

  it('are answered in their order, whichever is done first', async () => {
    const { inputs, begun, results } = rig(10, 10);
    for (let frame = 0; frame < 3; frame++) inputs.push({ events: 1, bytes: 1 });
    inputs.end();
    const first = results.next();
    await turn();
    for (const [index, done] of [...begun.entries()].reverse()) done.resolve(index);
    const answers = [(await first).value];
    for await (const answer of results) answers.push(answer);
    expect(answers).toEqual([0, 1, 2]);
  });
});
