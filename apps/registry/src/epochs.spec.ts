import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { prefixed, type Kv } from '@eventmesh/kv-api';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import { tempDir } from '@eventmesh/testing';
import { Epochs } from './epochs.ts';

const dir = tempDir('registry-epochs');
let store: Kv;
let spaces = 0;

beforeAll(async () => {
  store = await openEmbeddedKv({ dir: dir.path });
});

afterAll(async () => {
  await store?.close();
  dir.remove();
});

const TEXT = new TextEncoder();

/** Names taken and given up, at two replicas. */
class Names {
  readonly kv = prefixed(store, `${++spaces}/`);
  readonly replicas = [new Epochs(this.kv), new Epochs(this.kv)] as const;

  async take(name: string, at = 0): Promise<number> {
    const { epoch, compare, put } = await (this.replicas[at] ?? this.replicas[0]).next(name);
    const owner = { type: 'put', key: `owners/${name}`, value: TEXT.encode('me') } as const;
    const { applied } = await this.kv.transact({ compare, then: [put, owner] });
    expect(applied).toBe(true);
    return epoch;
  }

  async giveUp(name: string): Promise<void> {
    await this.kv.delete(`owners/${name}`);
  }

  async counters(): Promise<string[]> {
    return (await this.kv.range('epochs/')).entries.map(({ key }) => key.slice('epochs/'.length));
  }
}

describe('epochs', () => {
  it('count by one while a name is known', async () => {
    const names = new Names();
    expect([await names.take('a'), await names.take('b'), await names.take('a')]).toEqual([
      1, 1, 2,
    ]);
  });

  it('of a name without an owner are dropped at the second look, and go on above them', async () => {
    const names = new Names();
    const [epochs] = names.replicas;
    for (let times = 0; times < 5; times++) await names.take('gone');
    await names.take('owned');
    await names.giveUp('gone');
    expect(await epochs.drop()).toBe(0);
    expect(await names.counters()).toEqual(['gone', 'owned']);
    expect(await epochs.drop()).toBe(1);
    expect(await names.counters()).toEqual(['owned']);
    expect(await epochs.last('gone')).toBe(5);
    expect(await names.take('gone')).toBe(6);
    expect(await names.take('new')).toBe(6);
    expect(await names.take('owned')).toBe(2);
  });

  it('of a name that had an owner between two looks stay', async () => {
    const names = new Names();
    const [epochs] = names.replicas;
    await names.take('busy');
    for (let rounds = 0; rounds < 3; rounds++) {
      await names.giveUp('busy');
      expect(await epochs.drop()).toBe(0);
      await names.take('busy');
    }
    expect(await names.counters()).toEqual(['busy']);
  });

  it('are not given by what was read before the counter was dropped', async () => {
    const names = new Names();
    const [epochs] = names.replicas;
    await names.take('raced');
    await names.giveUp('raced');
    await epochs.drop();
    const before = await epochs.next('raced');
    await epochs.drop();
    const { applied } = await names.kv.transact({ compare: before.compare, then: [before.put] });
    expect(applied).toBe(false);
  });

  it('of one name always rise, whatever two replicas drop, and those of the gone do not stay', async () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const at = fc.constantFrom(0, 1);
    const command = fc.oneof(
      fc.record({ does: fc.constant('take' as const), name, at }),
      fc.record({ does: fc.constant('giveUp' as const), name, at }),
      fc.record({ does: fc.constant('drop' as const), name, at }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        const names = new Names();
        const last = new Map<string, number>();
        const owned = new Set<string>();
        for (const one of commands) {
          if (one.does === 'drop') await names.replicas[one.at]?.drop();
          else if (one.does === 'giveUp') {
            owned.delete(one.name);
            await names.giveUp(one.name);
          } else if (!owned.has(one.name)) {
            const epoch = await names.take(one.name, one.at);
            expect(epoch).toBeGreaterThan(last.get(one.name) ?? 0);
            last.set(one.name, epoch);
            owned.add(one.name);
          }
        }
        for (let looks = 0; looks < 2; looks++) await names.replicas[0].drop();
        expect(new Set(await names.counters())).toEqual(owned);
      }),
      { numRuns: 40 },
    );
  });
});
