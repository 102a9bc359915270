import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KV_TRANSACTION_OPS_MAX, type Kv, type KvOperation } from '@eventmesh/kv-api';
import { bytes, expectCode, put, Recording, text, type Suite } from './suite.ts';
import { eventually } from '../eventually.ts';

export function describeConditions(suite: Suite): void {
  describe('conditional writes', () => {
    it('creates only when the key is absent and answers what is there otherwise', async () => {
      const key = `${suite.space()}k`;
      const created = await suite.kv.put(key, bytes('mine'), { ifRevision: 0 });
      expect(created.applied).toBe(true);
      const refused = await suite.kv.put(key, bytes('theirs'), { ifRevision: 0 });
      expect(refused).toMatchObject({
        applied: false,
        current: { key, modRevision: created.revision },
      });
      expect(text((await suite.kv.get(key))?.value)).toBe('mine');
    });

    it('writes and deletes only at the expected revision', async () => {
      const key = `${suite.space()}k`;
      const first = await put(suite.kv, key, 'one');
      const second = await suite.kv.put(key, bytes('two'), { ifRevision: first });
      expect(second.applied).toBe(true);
      expect(await suite.kv.put(key, bytes('stale'), { ifRevision: first })).toMatchObject({
        applied: false,
        current: { modRevision: second.revision },
      });
      expect(await suite.kv.delete(key, { ifRevision: first })).toMatchObject({
        applied: false,
        current: { modRevision: second.revision },
      });
      expect((await suite.kv.delete(key, { ifRevision: second.revision })).applied).toBe(true);
      const onAbsent = await suite.kv.put(key, bytes('x'), { ifRevision: second.revision });
      expect(onAbsent).toMatchObject({ applied: false, current: undefined });
    });

    it('answers applied: false for a delete that finds nothing, at no new revision', async () => {
      const key = `${suite.space()}k`;
      const before = await suite.revision();
      expect(await suite.kv.delete(key)).toMatchObject({ applied: false, current: undefined });
      expect(await suite.revision()).toBe(before);
      const revision = await put(suite.kv, key, 'x');
      expect(await suite.kv.delete(key, { ifRevision: 0 })).toMatchObject({
        applied: false,
        current: { modRevision: revision },
      });
    });

    it('lets exactly one of many creators win', async () => {
      const key = `${suite.space()}k`;
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          (i % 2 === 0 ? suite.kv : suite.under.other).put(key, bytes(`${i}`), { ifRevision: 0 }),
        ),
      );
      const winners = results.filter(({ applied }) => applied);
      expect(winners).toHaveLength(1);
      expect((await suite.kv.get(key))?.modRevision).toBe(winners[0]?.revision);
    });

    it('loses no increment of eight concurrent counters on two handles', async () => {
      const key = `${suite.space()}counter`;
      const increment = async (kv: Kv) => {
        for (;;) {
          const entry = await kv.get(key);
          const next = bytes(String(Number(text(entry?.value) ?? '0') + 1));
          const result = await kv.put(key, next, { ifRevision: entry?.modRevision ?? 0 });
          if (result.applied) return;
        }
      };
      const worker = async (kv: Kv) => {
        for (let i = 0; i < 6; i += 1) await increment(kv);
      };
      const handles = [suite.kv, suite.under.other];
      await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((i) => worker(handles[i % 2] ?? suite.kv)));
      expect(text((await suite.kv.get(key))?.value)).toBe('48');
    });
  });

  describeTransactions(suite);
}

function describeTransactions(suite: Suite): void {
  describe('transactions', () => {
    it('applies all under one revision, and a watch sees them as one event', async () => {
      const space = suite.space();
      await put(suite.kv, `${space}old`, 'x');
      const from = (await suite.revision()) + 1;
      const result = await suite.kv.transact({
        then: [
          { type: 'put', key: `${space}a`, value: bytes('1') },
          { type: 'put', key: `${space}b`, value: bytes('2') },
          { type: 'delete', key: `${space}old` },
          { type: 'delete', key: `${space}absent` },
        ],
      });
      expect(result).toEqual({ applied: true, revision: from });
      expect(await suite.kv.get(`${space}a`)).toMatchObject({ modRevision: from });
      expect(await suite.kv.get(`${space}b`)).toMatchObject({ modRevision: from });
      const recording = new Recording(suite.kv, space, from);
      const expected = [`${from} -${space}old ${space}a=1 ${space}b=2`];
      await eventually(() => expect(recording.events).toEqual(expected));
      await recording.stop();
    });

    it('applies nothing when one compare fails and answers what each key held', async () => {
      const space = suite.space();
      const a = await put(suite.kv, `${space}a`, '1');
      const result = await suite.kv.transact({
        compare: [
          { key: `${space}a`, modRevision: a },
          { key: `${space}b`, modRevision: a },
        ],
        then: [
          { type: 'put', key: `${space}c`, value: bytes('never') },
          { type: 'delete', key: `${space}a` },
        ],
      });
      expect(result).toMatchObject({
        applied: false,
        current: [{ key: `${space}a`, modRevision: a }, undefined],
      });
      expect(await suite.kv.get(`${space}c`)).toBeUndefined();
      expect(await suite.kv.get(`${space}a`)).toBeDefined();
    });

    it('compares createRevision, which an update leaves and a new life changes', async () => {
      const space = suite.space();
      const key = `${space}owner`;
      const epoch = await put(suite.kv, key, 'me');
      await put(suite.kv, key, 'me, renewed');
      const write = () =>
        suite.kv.transact({
          compare: [{ key, createRevision: epoch }],
          then: [{ type: 'put', key: `${space}fenced`, value: bytes('x') }],
        });
      expect((await write()).applied).toBe(true);
      await suite.kv.delete(key);
      await put(suite.kv, key, 'somebody else');
      expect((await write()).applied).toBe(false);
    });

    it('only compares when there is nothing to do', async () => {
      const key = `${suite.space()}k`;
      const before = await suite.revision();
      const compare = [{ key, modRevision: 0 }];
      expect(await suite.kv.transact({ compare, then: [] })).toMatchObject({ applied: true });
      expect(await suite.revision()).toBe(before);
    });

    it('refuses a key written twice and too many operations, naming the item', async () => {
      const space = suite.space();
      const value = bytes('x');
      const twice = suite.kv.transact({
        then: [
          { type: 'put', key: `${space}a`, value },
          { type: 'delete', key: `${space}a` },
        ],
      });
      expect((await expectCode(twice, 'InvalidArgument')).details.field).toBe('then[1].key');
      const operations = (count: number): KvOperation[] =>
        Array.from({ length: count }, (_, i) => ({ type: 'put', key: `${space}${i}`, value }));
      const many = suite.kv.transact({ then: operations(KV_TRANSACTION_OPS_MAX + 1) });
      await expectCode(many, 'InvalidArgument');
      const most = await suite.kv.transact({ then: operations(KV_TRANSACTION_OPS_MAX) });
      expect(most.applied).toBe(true);
    });

    it('agrees with a plain map after any operations, and its history replays to the same', () =>
      fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), (steps) => replay(suite, steps)),
        {
          numRuns: 12,
        },
      ));
  });
}

interface Step {
  readonly key: string;
  readonly other: string;
  readonly kind: 'put' | 'create' | 'delete' | 'both' | 'move';
}

const name = fc.constantFrom('a', 'b', 'c');
const step: fc.Arbitrary<Step> = fc.record({
  key: name,
  other: name,
  kind: fc.constantFrom('put', 'create', 'delete', 'both', 'move'),
});

async function replay(suite: Suite, steps: readonly Step[]): Promise<void> {
  const space = suite.space();
  const from = (await suite.revision()) + 1;
  const model = new Map<string, string>();
  for (const [i, { key, other, kind }] of steps.entries()) {
    await applyStep(suite.kv, model, space, { key, other, kind }, `${i}`);
  }
  const state = async () =>
    (await suite.kv.range(space)).entries.map(({ key, value }) => [key, text(value)]);
  expect(await state()).toEqual([...model].sort(([a], [b]) => (a < b ? -1 : 1)));

  await put(suite.kv, `${space}end`, 'x');
  const replayed = new Map<string, string | undefined>();
  for await (const event of suite.kv.watch(space, { fromRevision: from })) {
    if (event.type === 'compacted') throw new Error('compacted without cause');
    for (const change of event.changes) {
      if (change.type === 'put') replayed.set(change.key, text(change.entry.value));
      else replayed.delete(change.key);
    }
    if (replayed.has(`${space}end`)) break;
  }
  replayed.delete(`${space}end`);
  expect(replayed).toEqual(model);
}

/** One step on the Kv and, in the plainest way, on the model. */
async function applyStep(
  kv: Kv,
  model: Map<string, string>,
  space: string,
  step: Step,
  value: string,
): Promise<void> {
  const [key, other] = [space + step.key, space + step.other];
  const data = bytes(value);
  if (step.kind === 'put') {
    await kv.put(key, data);
    model.set(key, value);
  } else if (step.kind === 'create') {
    const { applied } = await kv.put(key, data, { ifRevision: 0 });
    expect(applied).toBe(!model.has(key));
    if (applied) model.set(key, value);
  } else if (step.kind === 'delete') {
    expect((await kv.delete(key)).applied).toBe(model.delete(key));
  } else if (key !== other && step.kind === 'both') {
    await kv.transact({
      then: [
        { type: 'put', key, value: data },
        { type: 'put', key: other, value: data },
      ],
    });
    model.set(key, value).set(other, value);
  } else if (key !== other) {
    const { applied } = await kv.transact({
      compare: [{ key: other, modRevision: 0 }],
      then: [
        { type: 'delete', key },
        { type: 'put', key: other, value: data },
      ],
    });
    expect(applied).toBe(!model.has(other));
    if (!applied) return;
    model.delete(key);
    model.set(other, value);
  }
}
