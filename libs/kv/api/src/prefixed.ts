import type { Kv, KvChange, KvEntry, KvWatchEvent } from './kv.ts';
import { checkKey } from './validate.ts';

/**
 * The part of a Kv below `root`, seen as a Kv of its own: keys go in and come out without it, while
 * revisions and leases stay those of the whole. Closing it does not close the Kv underneath.
 */
export function prefixed(kv: Kv, root: string): Kv {
  const inner = <T extends { key: string }>(item: T): T => ({
    ...item,
    key: item.key.slice(root.length),
  });
  const innerMaybe = (entry: KvEntry | undefined) =>
    entry === undefined ? undefined : inner(entry);
  const full = (key: string): string => {
    checkKey(key);
    return root + key;
  };
  const innerEvent = (event: KvWatchEvent): KvWatchEvent =>
    event.type === 'compacted'
      ? event
      : {
          ...event,
          changes: event.changes.map((change): KvChange =>
            change.type === 'put'
              ? { ...inner(change), entry: inner(change.entry) }
              : inner(change),
          ),
        };

  return {
    get: async (key) => innerMaybe(await kv.get(full(key))),
    async range(prefix, options = {}) {
      const after = options.after === undefined ? {} : { after: full(options.after) };
      const page = await kv.range(root + prefix, { ...options, ...after });
      const next = page.next === undefined ? {} : { next: page.next.slice(root.length) };
      return { ...page, entries: page.entries.map(inner), ...next };
    },
    async put(key, value, options) {
      const result = await kv.put(full(key), value, options);
      return result.applied ? result : { ...result, current: innerMaybe(result.current) };
    },
    async delete(key, options) {
      const result = await kv.delete(full(key), options);
      return result.applied ? result : { ...result, current: innerMaybe(result.current) };
    },
    async transact({ compare = [], then }) {
      const result = await kv.transact({
        compare: compare.map((c) => ({ ...c, key: full(c.key) })),
        then: then.map((operation) => ({ ...operation, key: full(operation.key) })),
      });
      return result.applied ? result : { ...result, current: result.current.map(innerMaybe) };
    },
    grantLease: (ttlMs) => kv.grantLease(ttlMs),
    lease: (id, ttlMs) => kv.lease(id, ttlMs),
    async *watch(prefix, options) {
      for await (const event of kv.watch(root + prefix, options)) yield innerEvent(event);
    },
    ping: () => kv.ping(),
    close: () => Promise.resolve(),
  };
}
