import type { Kv, KvEntry, KvPutOptions, KvWriteResult } from '@eventmesh/kv-api';
import type { Subscription } from '@eventmesh/proto-gen/subscriber';
import { DECODE, key } from './keys.ts';

/** Changes of whole and part that come in between until the caller is told to try again. */
const ATTEMPTS_MAX = 8;

/**
 * The parts of broadcast subscriptions. One is kept only beside the whole that it belongs to: the
 * compare of its write holds that, and what an earlier whole of the name has left is as if it were
 * not there.
 */
export class BroadcastParts {
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /**
   * Writes a part; undefined when its whole is not there.
   *
   * @param expected 0: whatever is there; -1: must not exist; else the current revision
   */
  async put(
    part: Subscription,
    value: Uint8Array,
    expected: number,
    options: Pick<KvPutOptions, 'lease'>,
  ): Promise<KvWriteResult | undefined> {
    const { tenant, name, broadcastOf } = part;
    const at = key('subscriptions', tenant, name);
    const above = key('subscriptions', tenant, broadcastOf);
    for (let attempt = 1; ; attempt++) {
      const [whole, there] = [await this.#kv.get(above), await this.#kv.get(at)];
      if (whole === undefined || !belongs(part, whole)) return undefined;
      const stray = there !== undefined && !belongs(DECODE.subscriptions(there.value), whole);
      const revision = there?.modRevision ?? 0;
      const wanted = expected === 0 || stray ? revision : Math.max(expected, 0);
      const lost = { applied: false, revision, current: there } as const;
      if (wanted !== revision) return lost;
      const result = await this.#kv.transact({
        compare: [
          { key: above, createRevision: whole.createRevision },
          { key: at, modRevision: revision },
        ],
        then: [{ type: 'put', key: at, value, ...options }],
      });
      if (result.applied) return result;
      if (attempt === ATTEMPTS_MAX) return lost;
    }
  }

  /** Deletes what is no part of the subscription that has this name now, if one has. */
  async sweep(tenant: string, name: string): Promise<void> {
    const found: KvEntry[] = [];
    for (let after: string | undefined; ;) {
      const page = await this.#kv.range(key('subscriptions', tenant, `${name}:`), {
        ...(after === undefined ? {} : { after }),
      });
      found.push(...page.entries);
      after = page.next;
      if (after === undefined) break;
    }
    if (found.length === 0) return;
    // Read after them: a part that was found has come after its whole.
    const whole = await this.#kv.get(key('subscriptions', tenant, name));
    for (const entry of found) {
      if (whole !== undefined && belongs(DECODE.subscriptions(entry.value), whole)) continue;
      await this.#kv.delete(entry.key, { ifRevision: entry.modRevision });
    }
  }
}

const belongs = ({ part }: Subscription, whole: KvEntry): boolean =>
  part?.wholeCreatedMs === DECODE.subscriptions(whole.value).createdMs;
