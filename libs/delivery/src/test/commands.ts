import fc from 'fast-check';
import { checkSubscription, type SubscriptionSpec } from '../index.ts';
import { Naive, type Verb } from './naive.ts';
import { EVENT_BYTES, Rig, type RigBounds } from './rig.ts';

export const PARTITIONS = 2;
const NAMES = ['a', 'b', 'c'] as const;

/** Something that happens to a subscription. It prints itself, so that a failure can be read. */
class Step implements fc.Command<Naive, Rig> {
  readonly #text: string;
  readonly #act: (naive: Naive, rig: Rig) => void;

  constructor(name: string, given: object, act: (naive: Naive, rig: Rig) => void) {
    this.#text = `${name} ${JSON.stringify(given)}`;
    this.#act = act;
  }

  check(): boolean {
    return true;
  }

  run(naive: Naive, rig: Rig): void {
    this.#act(naive, rig);
    rig.turn();
  }

  toString(): string {
    return this.#text;
  }
}

/** A step whose details are drawn at random. */
function step<T extends object>(
  name: string,
  shape: { [K in keyof T]: fc.Arbitrary<T[K]> },
  act: (given: T, naive: Naive, rig: Rig) => void,
): fc.Arbitrary<Step> {
  return fc
    .record(shape)
    .map((given) => new Step(name, given, (naive, rig) => act(given as T, naive, rig)));
}

const name = fc.constantFrom(...NAMES);
const mostly = fc.constantFrom(true, true, true, false);
const partition = fc.nat(PARTITIONS - 1);
const verb: fc.Arbitrary<Verb> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'accept' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'renew' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'return' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('release' as const),
      delayMs: fc.constantFrom(0, 700),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reject' as const, reason: 'no' }) },
);

const publish = step(
  'publish',
  {
    partition,
    matched: fc.constantFrom(true, true, true, false),
    key: fc.constantFrom('', 'x', 'x', 'x', 'y', 'z'),
    ttlMs: fc.constantFrom(0, 0, 0, 0, 1, 1500),
    ageMs: fc.constantFrom(0, 0, 3000),
    times: fc.constantFrom(1, 2, 9, 20),
  },
  ({ partition: to, matched, key, ttlMs, ageMs, times }, naive) => {
    const expiryMs = ttlMs === 0 ? 0 : naive.nowMs + ttlMs - 1;
    const ingressMs = naive.nowMs - ageMs;
    const event = { matched, key: key && `${key}${to}`, bytes: EVENT_BYTES, expiryMs, ingressMs };
    for (let at = 0; at < times; at++) naive.publish(to, event);
  },
);

const credit = step(
  'credit',
  {
    to: name,
    events: fc.constantFrom(0, 1, 2, 3, 4, 9),
    bytes: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, EVENT_BYTES + 1),
  },
  ({ to, events, bytes }, naive, rig) => {
    naive.credit(to, events, bytes);
    rig.engine.credit(to, events, bytes);
  },
);

const withdraw = step('withdraw', { from: name }, ({ from }, naive, rig) => {
  naive.withdraw(from);
  rig.engine.withdraw(from);
});

/** Of what is out now, some in a row. */
const settle = step(
  'settle',
  { from: fc.nat(20), count: fc.integer({ min: 1, max: 3 }), verb, cumulative: fc.nat(4) },
  ({ from, count, verb: outcome, cumulative }, naive, rig) => {
    const { out } = naive;
    const first = out[from % Math.max(1, out.length)];
    if (first === undefined) return;
    const own = out.filter(({ consumer }) => consumer === first.consumer);
    const ids = own.slice(own.indexOf(first)).map(({ id }) => id);
    rig.settle(first.consumer, ids.slice(0, count), outcome, cumulative === 0);
  },
);

/** Ids that ran out, were settled or recalled, or are of an older owner; or somebody else's. */
const settleStale = step(
  'settle stale',
  { back: fc.nat(10), by: name, verb, cumulative: fc.boolean() },
  ({ back, by, verb: outcome, cumulative }, naive, rig) => {
    const other = naive.out.find(({ consumer }) => consumer !== by);
    const id = back === 0 ? other?.id : naive.stale.at(-back);
    if (id !== undefined) rig.settle(by, [id], outcome, cumulative);
  },
);

const wait = step('wait', { ms: fc.constantFrom(1, 90, 400, 600, 1000, 3000) }, ({ ms }, naive) => {
  naive.nowMs += ms;
});

const join = step('join', { who: name }, ({ who }, naive, rig) => {
  naive.leave(who);
  naive.join(who);
  rig.engine.attach(who);
});

const leave = step('leave', { who: name }, ({ who }, naive, rig) => {
  rig.engine.detach(who);
  naive.leave(who);
});

const write = step(
  'write cursors',
  { works: fc.constantFrom(3, 3, 3, 1, 2, 0) },
  (given, _, rig) => {
    rig.writeCursors((each) => (given.works & (1 << each)) !== 0);
  },
);

const crash = step('crash', {}, (_, naive, rig) => {
  naive.crashed();
  rig.takeOver();
});

const moveAway = step('move to another owner', {}, (_, naive, rig) => {
  rig.writeCursors(() => true);
  naive.crashed();
  rig.takeOver();
});

const seek = step('seek', { partition, back: fc.nat(6) }, ({ partition: of, back }, naive, rig) => {
  rig.seek(of, Math.max(1, (naive.log[of]?.length ?? 0) + 1 - back));
});

const sideReads = step('side reads', { work: mostly }, ({ work }, _, rig) => {
  rig.readsAgain = work;
});

const letters = step('dead letters', { work: mostly }, ({ work }, _, rig) => {
  rig.lettersWork = work;
});

const rights = step('rights', { known: mostly }, ({ known }, _, rig) => {
  rig.rightsKnown = known;
});

const pause = step('pause', { not: mostly }, ({ not }, _, rig) => {
  rig.engine.pause((rig.paused = !not));
});

const often = (arbitrary: fc.Arbitrary<Step>, times: number) =>
  Array.from({ length: times }, () => arbitrary);

const steps = fc.commands(
  [
    ...often(publish, 12),
    ...often(credit, 6),
    withdraw,
    ...often(settle, 10),
    settleStale,
    ...often(wait, 4),
    ...often(join, 2),
    leave,
    ...often(write, 2),
    crash,
    moveAway,
    seek,
    sideReads,
    letters,
    rights,
    pause,
  ],
  { maxCommands: 80, size: 'max' },
);

const spec: fc.Arbitrary<SubscriptionSpec> = fc
  .record({
    ordered: fc.constantFrom(true, true, true, false),
    inFlightMax: fc.constantFrom(2, 4, 4, 6, 100),
    ackTimeoutMs: fc.constantFrom(1000, 2500),
    deadLetterExpired: fc.boolean(),
    retry: fc.record({
      kind: fc.constantFrom('none', 'linear', 'exponential', 'list'),
      attemptsMax: fc.integer({ min: 1, max: 3 }),
      delayMs: fc.constant(100),
      delayMaxMs: fc.constant(350),
      delaysMs: fc.constant([50, 0, 400]),
      ageMaxMs: fc.constantFrom(0, 0, 4000),
    }),
  })
  .map((given) => checkSubscription({ name: 's', topicFilters: ['#'], ...given }));

/** Little memory, so that it is full all the time. */
const bounds: fc.Arbitrary<RigBounds> = fc.record({
  heldMax: fc.constantFrom(4, 8, 8),
  parkedKeysMax: fc.constantFrom(0, 1, 100, 100, 100, 100),
  retryWindow: fc.constantFrom(1, 2, 3, 16),
});

/** Whatever happens to a subscription of whatever kind, its promises are kept. */
export const keepsItsPromises = fc.property(spec, bounds, steps, (given, limits, happenings) => {
  const naive = new Naive(given, PARTITIONS);
  const rig = new Rig(naive, limits);
  for (const who of ['a', 'b']) {
    naive.join(who);
    rig.engine.attach(who);
  }
  fc.modelRun(() => ({ model: naive, real: rig }), happenings);
  rig.quiesce();
});
