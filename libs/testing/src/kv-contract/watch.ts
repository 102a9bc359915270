import { describe, expect, it } from '@jest/globals';
import { expectCode, put, Recording, show, type Suite } from './suite.ts';
import { eventually } from '../eventually.ts';

export function describeWatch(suite: Suite): void {
  describe('watch', () => {
    it('replays the history from a revision and goes on with what happens', async () => {
      const space = suite.space();
      const key = `${space}k`;
      const first = await put(suite.kv, key, '1');
      const second = await put(suite.kv, key, '2');
      const recording = new Recording(suite.kv, space, first);
      const third = await put(suite.under.other, key, '3');
      const { revision: fourth } = await suite.kv.delete(key);
      await eventually(() =>
        expect(recording.events).toEqual([
          `${first} ${key}=1`,
          `${second} ${key}=2`,
          `${third} ${key}=3`,
          `${fourth} -${key}`,
        ]),
      );
      await recording.stop();
    });

    it('shows entries as a read at that revision would', async () => {
      const key = `${suite.space()}k`;
      const first = await put(suite.kv, key, '1');
      const second = await put(suite.kv, key, '2');
      for await (const event of suite.kv.watch(key, { fromRevision: second })) {
        if (event.type === 'compacted') throw new Error('compacted without cause');
        const [change] = event.changes;
        expect(change).toMatchObject({
          type: 'put',
          entry: { key, createRevision: first, modRevision: second },
        });
        break;
      }
    });

    it('shows only keys under its prefix', async () => {
      const space = suite.space();
      const from = (await suite.revision()) + 1;
      await put(suite.kv, `${space}ab`, 'outside');
      const inside = await put(suite.kv, `${space}a/1`, 'inside');
      await put(suite.kv, `${space}b`, 'outside');
      const recording = new Recording(suite.kv, `${space}a/`, from);
      await eventually(() => expect(recording.events).toEqual([`${inside} ${space}a/1=inside`]));
      await recording.stop();
    });

    it('gives a slow consumer everything, in order, once', async () => {
      const space = suite.space();
      const from = (await suite.revision()) + 1;
      const revisions: number[] = [];
      const iterator = suite.kv.watch(space, { fromRevision: from })[Symbol.asyncIterator]();
      const firstNext = iterator.next();
      for (let i = 0; i < 300; i += 50) {
        const keys = Array.from({ length: 50 }, (_, j) => `${space}${i + j}`);
        revisions.push(...(await Promise.all(keys.map((key) => put(suite.under.other, key, key)))));
      }
      const seen: number[] = [];
      for (let next = await firstNext; ; next = await iterator.next()) {
        if (next.done === true) throw new Error('the watch ended');
        seen.push(next.value.revision);
        if (seen.length === revisions.length) break;
      }
      await iterator.return?.();
      expect(seen).toEqual(revisions.sort((a, b) => a - b));
    });

    it('ends without error when its signal aborts, also one that had aborted before', async () => {
      const stop = new AbortController();
      const fromRevision = (await suite.revision()) + 1;
      const watch = suite.kv.watch(suite.space(), { fromRevision, signal: stop.signal });
      const next = watch[Symbol.asyncIterator]().next();
      stop.abort();
      expect(await next).toEqual({ done: true, value: undefined });
      const late = suite.kv.watch(suite.space(), { fromRevision, signal: stop.signal });
      expect(await late[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
    });

    it('answers compacted and ends for a revision that is no longer there', async () => {
      const space = suite.space();
      const first = await put(suite.kv, `${space}k`, '1');
      await put(suite.kv, `${space}k`, '2');
      const third = await put(suite.kv, `${space}k`, '3');
      await suite.under.compact(third - 1);
      const events: string[] = [];
      for await (const event of suite.kv.watch(space, { fromRevision: first })) {
        events.push(show(event));
      }
      expect(events).toEqual(['compacted']);
      const recording = new Recording(suite.kv, space, third);
      await eventually(() => expect(recording.events).toEqual([`${third} ${space}k=3`]));
      await recording.stop();
    });

    it('answers compacted for a revision the store never reached', async () => {
      const fromRevision = (await suite.revision()) + 1000;
      const events: string[] = [];
      for await (const event of suite.kv.watch(suite.space(), { fromRevision })) {
        events.push(show(event));
      }
      expect(events).toEqual(['compacted']);
    });

    it.each([0, -1, 1.5])('refuses to start at revision %s', async (fromRevision) => {
      const next = suite.kv.watch('x', { fromRevision })[Symbol.asyncIterator]().next();
      const error = await expectCode(next, 'InvalidArgument');
      expect(error.details.field).toBe('fromRevision');
    });
  });
}
