import { HistoryChecker, type CheckReport } from '@eventmesh/tools-checker';
import { wants } from './oracle.ts';
import { hashOf, type Payload } from './payloads.ts';
import { DEMO_SUBSCRIPTIONS } from './subscriptions.ts';

export interface Received {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly key: string;
  readonly topic: string;
  readonly data: Uint8Array;
  readonly attempt: number;
}

const TENANT = 'default';

/** Writes the history of the demo straight into the checker, and counts for the progress bar. */
export class Recorder {
  readonly #checker = new HistoryChecker();
  readonly #expected: number;
  readonly expectedBySubscription: ReadonlyMap<string, number>;
  sent = 0;
  received = 0;
  /** Changes whenever something was received. */
  lastReceiveMs = Date.now();

  constructor(payloads: readonly Payload[]) {
    this.expectedBySubscription = new Map(
      DEMO_SUBSCRIPTIONS.map((subscription) => [
        subscription.name,
        payloads.filter((payload) => wants(subscription, payload)).length,
      ]),
    );
    this.#expected = [...this.expectedBySubscription.values()].reduce((sum, one) => sum + one, 0);
    for (const { name, topicFilters } of DEMO_SUBSCRIPTIONS) {
      this.#checker.add({ t: 0, op: 'subscribe', sub: name, tenant: TENANT, topicFilters });
    }
  }

  get expected(): number {
    return this.#expected;
  }

  /** Before the event goes out. */
  sending(producer: string, payload: Payload): void {
    const { id, topic, key, hash } = payload;
    this.#checker.add({
      t: performance.now(),
      op: 'send',
      id,
      tenant: TENANT,
      producer,
      topic,
      key,
      hash,
      wants: DEMO_SUBSCRIPTIONS.filter((subscription) => wants(subscription, payload)).map(
        ({ name }) => name,
      ),
    });
  }

  ended(op: 'ok' | 'fail' | 'unknown', id: string): void {
    this.sent++;
    this.#checker.add({ t: performance.now(), op, id });
  }

  receive(sub: string, event: Received): void {
    this.received++;
    this.lastReceiveMs = Date.now();
    const { id, topic, key, attempt } = event;
    const t = performance.now();
    this.#checker.add({ t, op: 'recv', sub, id, topic, key, hash: hashOf(event), attempt });
  }

  accepted(sub: string, id: string): void {
    this.#checker.add({ t: performance.now(), op: 'settle', sub, id, outcome: 'accept' });
  }

  report(): CheckReport {
    return this.#checker.report();
  }
}
