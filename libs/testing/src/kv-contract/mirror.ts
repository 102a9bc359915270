import { afterEach, describe, expect, it } from '@jest/globals';
import { mirror, type Kv, type WatchedMap } from '@eventmesh/kv-api';
import { bytes, put, text, type Suite } from './suite.ts';
import { eventually } from '../eventually.ts';

export function describeMirror(suite: Suite): void {
  describe('a mirror', () => {
    const open: WatchedMap<string>[] = [];
    afterEach(async () => {
      await Promise.all(open.splice(0).map((map) => map.close()));
    });

    /** A mirror of text values, with a log of what it called back. */
    function start(kv: Kv, prefix: string) {
      const log: string[] = [];
      const errors: string[] = [];
      const map = mirror(kv, prefix, decode, {
        onChange(changes, revision) {
          const parts = changes.map(
            ({ key, previous, current }) =>
              `${key.slice(prefix.length)}:${previous?.value ?? ''}>${current?.value ?? ''}`,
          );
          log.push(parts.sort().join(' '));
          expect(revision).toBe(map.revision);
        },
        onError: (error, key) => errors.push(`${key ?? ''} ${error.code}`),
      });
      open.push(map);
      return { map, log, errors };
    }
    const decode = (value: Uint8Array): string => {
      const decoded = text(value) ?? '';
      if (decoded === 'bad') throw new Error('does not decode');
      return decoded;
    };
    const content = (map: WatchedMap<string>, prefix: string) =>
      Object.fromEntries(
        [...map.entries()].map(([k, { value }]) => [k.slice(prefix.length), value]),
      );

    it('loads what is there, follows whole revisions and reads its own writes', async () => {
      const space = suite.space();
      await put(suite.kv, `${space}a`, '1');
      const { map, log } = start(suite.kv, space);
      expect(map.connected).toBe(false);
      await map.ready;
      expect(map.connected).toBe(true);
      expect(content(map, space)).toEqual({ a: '1' });
      const { revision } = await suite.under.other.transact({
        then: [
          { type: 'put', key: `${space}a`, value: bytes('2') },
          { type: 'put', key: `${space}b`, value: bytes('3') },
        ],
      });
      await map.reached(revision);
      expect(content(map, space)).toEqual({ a: '2', b: '3' });
      const deleted = await suite.kv.delete(`${space}a`);
      await map.reached(deleted.revision);
      expect(map.get(`${space}a`)).toBeUndefined();
      expect(map.size).toBe(1);
      expect(log).toEqual(['a:>1', 'a:1>2 b:>3', 'a:2>']);
    });

    it('calls back once for an empty prefix', async () => {
      const { map, log } = start(suite.kv, suite.space());
      await map.ready;
      expect(log).toEqual(['']);
    });

    it('leaves out a value that does not decode, tells of it and goes on', async () => {
      const space = suite.space();
      await put(suite.kv, `${space}a`, 'bad');
      await put(suite.kv, `${space}b`, '1');
      const { map, log, errors } = start(suite.kv, space);
      await map.ready;
      expect(content(map, space)).toEqual({ b: '1' });
      await map.reached(await put(suite.kv, `${space}b`, 'bad'));
      expect(content(map, space)).toEqual({});
      await map.reached(await put(suite.kv, `${space}a`, 'good'));
      expect(content(map, space)).toEqual({ a: 'good' });
      expect(errors).toEqual([`${space}a Internal`, `${space}b Internal`]);
      expect(log).toEqual(['b:>1', 'b:1>', 'a:>good']);
    });

    it('reloads after a compaction and calls back with the difference alone', async () => {
      const space = suite.space();
      await put(suite.kv, `${space}same`, '1');
      await put(suite.kv, `${space}changed`, '1');
      await put(suite.kv, `${space}gone`, '1');
      const gate = gatedWatch(suite.kv);
      const { map, log } = start(gate.kv, space);
      await map.ready;
      await put(suite.kv, `${space}changed`, '2');
      await suite.kv.delete(`${space}gone`);
      const last = await put(suite.kv, `${space}new`, '1');
      await suite.under.compact(last);
      gate.open();
      await map.reached(last);
      expect(content(map, space)).toEqual({ same: '1', changed: '2', new: '1' });
      const after = await put(suite.kv, `${space}new`, '2');
      await map.reached(after);
      expect(log.slice(1)).toEqual(['changed:1>2 gone:1> new:>1', 'new:1>2']);
    });

    it('is the same as the store whatever happens between its pages and its watch', async () => {
      const space = suite.space();
      const keys = Array.from({ length: 1100 }, (_, i) => `${space}${String(i).padStart(4, '0')}`);
      for (let i = 0; i < keys.length; i += 100) {
        const value = bytes('1');
        const then = keys.slice(i, i + 100).map((key) => ({ type: 'put', key, value }) as const);
        await suite.kv.transact({ then });
      }
      let pages = 0;
      const between: Kv = {
        ...methods(suite.kv),
        async range(prefix, options) {
          const page = await suite.kv.range(prefix, options);
          pages += 1;
          if (pages > 1) return page;
          // Behind the page read and ahead of it.
          await suite.kv.delete(keys[0] ?? '');
          await put(suite.kv, keys[1] ?? '', '2');
          await suite.kv.delete(keys[1099] ?? '');
          await put(suite.kv, keys[1098] ?? '', '2');
          return page;
        },
      };
      const { map } = start(between, space);
      await map.ready;
      await map.reached(await put(suite.kv, `${space}end`, '1'));
      expect(pages).toBe(2);
      expect(map.size).toBe(1099);
      expect(map.get(keys[0] ?? '')).toBeUndefined();
      expect(map.get(keys[1] ?? '')?.value).toBe('2');
      expect(map.get(keys[1098] ?? '')?.value).toBe('2');
      expect(map.get(keys[1099] ?? '')).toBeUndefined();
    });

    it('keeps trying while the store is away and is ready once it answers', async () => {
      const space = suite.space();
      await put(suite.kv, `${space}a`, '1');
      let away = true;
      const flaky: Kv = {
        ...methods(suite.kv),
        range: (prefix, options) =>
          away ? Promise.reject(new Error('away')) : suite.kv.range(prefix, options),
      };
      const { map, errors } = start(flaky, space);
      await eventually(() => expect(errors.length).toBeGreaterThan(1));
      expect(map.connected).toBe(false);
      away = false;
      await map.ready;
      expect(content(map, space)).toEqual({ a: '1' });
    });

    it('refuses whoever waits when it is closed', async () => {
      const { map } = start(suite.kv, suite.space());
      await map.ready;
      const waiting = map.reached(Number.MAX_SAFE_INTEGER);
      const outcome = expect(waiting).rejects.toMatchObject({ code: 'Cancelled' });
      await map.close();
      await outcome;
    });
  });
}

/** The methods of a Kv as plain properties, to replace one of them. */
function methods(kv: Kv): Kv {
  return {
    get: (key) => kv.get(key),
    range: (prefix, options) => kv.range(prefix, options),
    put: (key, value, options) => kv.put(key, value, options),
    delete: (key, options) => kv.delete(key, options),
    transact: (transaction) => kv.transact(transaction),
    grantLease: (ttlMs) => kv.grantLease(ttlMs),
    lease: (id, ttlMs) => kv.lease(id, ttlMs),
    watch: (prefix, options) => kv.watch(prefix, options),
    ping: () => kv.ping(),
    close: () => kv.close(),
  };
}

/** A Kv whose watches begin only after `open`. */
function gatedWatch(kv: Kv): { readonly kv: Kv; open(): void } {
  const gate = Promise.withResolvers<void>();
  return {
    kv: {
      ...methods(kv),
      async *watch(prefix, options) {
        await gate.promise;
        yield* kv.watch(prefix, options);
      },
    },
    open: gate.resolve,
  };
}
