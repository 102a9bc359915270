import {
  DeliveryEngine,
  checkSubscription,
  decodeState,
  encodeState,
  type PartitionCursor,
  type Settle,
  type SubscriptionSpec,
} from '../index.ts';
import { recordOf } from './rig.ts';

/** Where the clock of a scenario begins, in ms. */
const START_MS = 1_000_000;

/**
 * A subscription that does what the lines of a scenario say and answers with what could be seen
 * from outside. Commands, with the events of the one partition called by name:
 *
 *     subscription [ordered] [expired] [retry=KIND] [delays=MS,…] [attempts=N] [age=MS] [out=N]
 *                  [held=N] [parked=N] [window=N]
 *     publish EVENT… [key=K] [ttl=MS]    join C    leave C    credit C EVENTS [BYTES]
 *     accept|release|reject|renew C EVENT… [delay=MS] [cumulative]
 *     wait MS    letters up|down    rights known|unknown|none    pause    resume
 *     write (the cursor)    crash    stuck    books    cursor    reading    waiting
 *     reads again off|on    trim EVENT (and all before it)
 */
export class Scenario {
  #engine: DeliveryEngine | undefined;
  #spec: SubscriptionSpec = checkSubscription({ name: 's', topicFilters: ['#'] });
  #nowMs = START_MS;
  #epoch = 0;
  readonly #log: { name: string; key: string; expiryMs: number; ingressMs: number }[] = [];
  readonly #consumers = new Set<string>();
  /** By consumer and event: the id of the newest delivery. */
  readonly #ids = new Map<string, number>();
  #cursor: (Omit<PartitionCursor, 'state'> & { state: Uint8Array }) | undefined;
  #lettersWork = true;
  #rights: boolean | undefined = true;
  #heldMax = 1000;
  #parkedKeysMax = 100;
  #retryWindow = 16;
  #readsAgain = true;
  /** First position that is still stored. */
  #first = 1;
  readonly #out: string[] = [];

  /** Does one command; what could be seen then. */
  run(line: string): readonly string[] {
    const words = line.split(' ').filter(Boolean);
    const [verb = '', ...rest] = words.filter((word) => !word.includes('='));
    const options = new Map(
      words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]),
    );
    const act = this.#commands[verb];
    if (act === undefined) throw new Error(`there is no command "${verb}"`);
    act(rest, (name) => options.get(name));
    this.#turn();
    return this.#out.splice(0);
  }

  get #at(): DeliveryEngine {
    return (this.#engine ??= this.#start());
  }

  readonly #commands: Record<string, (rest: string[], option: Option) => void> = {
    subscription: (flags, option) => this.#subscribe(flags, option),
    publish: (names, option) => {
      const ttl = option('ttl');
      const expiryMs = ttl === undefined ? 0 : this.#nowMs + Number(ttl);
      for (const name of names) {
        const [key, ingressMs] = [option('key') ?? '', this.#nowMs];
        this.#log.push({ name, key, expiryMs, ingressMs });
      }
    },
    join: ([name = '']) => {
      this.#consumers.add(name);
      this.#at.attach(name);
    },
    leave: ([name = '']) => {
      this.#consumers.delete(name);
      this.#at.detach(name);
    },
    credit: ([name = '', events, bytes]) => {
      this.#at.credit(name, Number(events), Number(bytes ?? 0));
    },
    accept: (rest) => this.#settle(rest, { kind: 'accept' }),
    withdraw: ([name = '']) => this.#at.withdraw(name),
    return: (rest) => this.#settle(rest, { kind: 'return' }),
    renew: (rest) => this.#settle(rest, { kind: 'renew' }),
    reject: (rest) => this.#settle(rest, { kind: 'reject', reason: 'not wanted' }),
    release: (rest, option) => {
      this.#settle(rest, { kind: 'release', delayMs: Number(option('delay') ?? 0) });
    },
    wait: ([ms]) => void (this.#nowMs += Number(ms)),
    letters: ([state]) => void (this.#lettersWork = state === 'up'),
    rights: ([state]) => {
      this.#rights = state === 'unknown' ? undefined : state === 'known';
    },
    pause: () => this.#at.pause(true),
    resume: () => this.#at.pause(false),
    write: () => {
      for (const cursor of this.#at.takeCursors(true)) {
        this.#cursor = { ...cursor, state: encodeState(cursor.state) };
      }
    },
    crash: () => void (this.#engine = undefined),
    reads: ([, state]) => void (this.#readsAgain = state === 'on'),
    trim: ([name]) => {
      this.#first = this.#log.findIndex((event) => event.name === name) + 2;
    },
    reading: () => {
      const { stopped, saturated, parkedKeys, parkedEvents } = this.#at;
      const how = stopped ?? (saturated ? 'waits for consumers' : 'goes on');
      this.#say(`${how}; ${parkedEvents} events of ${parkedKeys} keys parked`);
    },
    waiting: () => {
      const { delayed, nextDueMs, paced, retryWindow } = this.#at.waiting;
      const next = nextDueMs === 0 ? '' : `, the next one for ${nextDueMs - this.#nowMs} ms`;
      const slow = retryWindow === 0 ? '' : `; ${paced} for room in a window of ${retryWindow}`;
      this.#say(`${delayed} wait for a delay${next}${slow}`);
    },
    stuck: () => {
      for (const { key, consumer, heldMs, waiting, parked, failures } of this.#at.stuckKeys(20)) {
        const who = consumer === '' ? 'nobody' : consumer;
        const behind = parked === 0 ? `${waiting} behind` : `${waiting} behind, ${parked} parked`;
        this.#say(`${key}: ${who} for ${heldMs} ms, ${behind}, ${failures} failures`);
      }
    },
    books: () => {
      const said = Object.entries(this.#at.counters).filter(([, count]) => count > 0);
      const texts = said.map(([name, count]) => `${name} ${count}`);
      this.#say([...texts, `held ${this.#at.held}`].join(', '));
    },
    cursor: () => {
      const { floor = 0, settled = [] } = this.#cursor ?? {};
      const above = settled.map(({ from, to }) => `${from}-${to}`).join(' ');
      const { parked = [] } = this.#cursor ? (decodeState(this.#cursor.state) ?? {}) : {};
      const marks = parked.map(({ from }) => ` but for a key from ${from} on`).join('');
      this.#say(`floor ${floor}, settled above: ${above || 'none'}${marks}`);
    },
  };

  #subscribe(flags: readonly string[], option: Option): void {
    const number = (name: string, otherwise: number) => Number(option(name) ?? otherwise);
    this.#heldMax = number('held', 1000);
    this.#parkedKeysMax = number('parked', 100);
    this.#retryWindow = number('window', 16);
    const kind = (option('retry') ?? 'exponential') as SubscriptionSpec['retry']['kind'];
    this.#spec = checkSubscription({
      name: 's',
      topicFilters: ['#'],
      ordered: flags.includes('ordered'),
      deadLetterExpired: flags.includes('expired'),
      ackTimeoutMs: 1000,
      inFlightMax: number('out', 100),
      retry: {
        kind,
        delayMs: 100,
        delayMaxMs: 400,
        attemptsMax: number('attempts', 3),
        ageMaxMs: number('age', 0),
        delaysMs: (option('delays') ?? '').split(',').filter(Boolean).map(Number),
      },
    });
  }

  #start(): DeliveryEngine {
    const engine = new DeliveryEngine({
      spec: this.#spec,
      epoch: ++this.#epoch,
      now: () => this.#nowMs,
      random: () => 0,
      mayReceive: () => this.#rights,
      heldMax: this.#heldMax,
      heldBytesMax: 1_000_000,
      parkedKeysMax: this.#parkedKeysMax,
      cursorBytesMax: 1_000_000,
      retryWindow: this.#retryWindow,
    });
    const { floor = 1, settled = [], state } = this.#cursor ?? {};
    engine.openPartition(0, floor, settled, state && decodeState(state));
    for (const name of this.#consumers) engine.attach(name);
    return engine;
  }

  #settle([by = '', ...words]: string[], outcome: Settle): void {
    const cumulative = words.at(-1) === 'cumulative';
    const names = words.filter((word) => word !== 'cumulative');
    const ids = names.map((name) => this.#ids.get(`${by} ${name}`) ?? 0);
    const engine = this.#at;
    for (const id of engine.settle(by, cumulative ? engine.upTo(by, ids) : ids, outcome)) {
      this.#say(`${names[ids.indexOf(id)] ?? id} refused`);
    }
  }

  #turn(): void {
    const engine = this.#at;
    engine.tick();
    this.#read(engine);
    for (let more = true; more;) {
      for (const { consumer, deliveries } of engine.pump()) {
        for (const { id, entry } of deliveries) {
          const name = this.#name(entry);
          this.#ids.set(`${consumer} ${name}`, id);
          const again = entry.attempts > 1 ? ` again, failures ${entry.failures}` : '';
          this.#say(`${consumer} gets ${name}${again}`);
        }
      }
      more = this.#bury(engine);
      more = this.#read(engine) || more;
    }
  }

  /** Whether there was something to read, and room for it. */
  #read(engine: DeliveryEngine): boolean {
    const progress = engine.partition(0);
    let read = false;
    while (progress.next <= this.#log.length && !engine.saturated) {
      const position = progress.next;
      const event = position < this.#first ? undefined : this.#log[position - 1];
      if (event !== undefined) engine.offer(0, position, recordOf(event));
      engine.advance(0, position, 0);
      read = true;
    }
    let from = engine.wantedFrom(0);
    for (
      ;
      from !== undefined && this.#readsAgain && !engine.fullAgain;
      from = engine.wantedFrom(0)
    ) {
      const event = from < this.#first ? undefined : this.#log[from - 1];
      const found = event === undefined ? [] : [[from, recordOf(event)] as const];
      engine.offerAgain(0, from, from, found, () => true);
      read = true;
    }
    return read;
  }

  #bury(engine: DeliveryEngine): boolean {
    const dead = engine.takeDead();
    for (const entry of dead) {
      const letter = `dead letter of ${this.#name(entry)}, ${entry.reason}`;
      this.#say(this.#lettersWork ? letter : `${letter}: not written`);
      if (this.#lettersWork) engine.retire(entry, 'dead-lettered');
      else engine.revive(entry, 1000);
    }
    return dead.length > 0;
  }

  #name({ position }: { readonly position: number }): string {
    return this.#log[position - 1]?.name ?? '';
  }

  #say(text: string): void {
    this.#out.push(text);
  }
}

type Option = (name: string) => string | undefined;

/** A scenario as it runs now: its comments and commands, each with what could be seen after it. */
export function transcript(text: string): string {
  const scenario = new Scenario();
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    // What was seen before is indented; it is told anew.
    if (line.startsWith('  ')) continue;
    lines.push(line);
    if (line === '' || line.startsWith('#')) continue;
    for (const seen of scenario.run(line)) lines.push(`  ${seen}`);
  }
  return lines.join('\n');
}
