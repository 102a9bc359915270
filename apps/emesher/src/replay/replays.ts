import { randomBytes } from 'node:crypto';
import type {
  AttachOptions,
  Attachment,
  DeliverySink,
  ReplayOptions,
  ReplayPreview,
  ReplayStatus,
  ReplaysPort,
  Session,
} from '@eventmesh/adapter-api';
import { checkReplay, type Subscription } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import { checkConsumer } from '../deliver/consumer-name.ts';
import type { SubscriptionAdmin } from '../deliver/subscription-admin.ts';
import { callerOf, checkGrants, type CallerSession } from '../session.ts';
import type { Slots } from '../slots.ts';
import { Lane } from './lane.ts';
import type { LaneDeps } from './lane-spec.ts';
import { preview } from './preview.ts';
import { replayWindows } from './window.ts';

export interface ReplaysDeps extends Omit<LaneDeps, 'onEnded'> {
  readonly admin: Pick<SubscriptionAdmin, 'find'>;
  readonly slots: Slots;
}

/** Owners count from 1, so the upper half of the 20 bits that a delivery id has for epochs is free. */
const LANE_EPOCHS = 2 ** 19;

/** The replay lanes of this emesher. They need no ownership: any emesher of the site can run one. */
export class Replays implements ReplaysPort {
  readonly #deps: ReplaysDeps;
  readonly #lanes = new Map<string, Lane>();
  #opened = 0;

  constructor(deps: ReplaysDeps) {
    this.#deps = deps;
  }

  /** Opens a lane on a subscription; the rights are those for consuming it. */
  async open(
    caller: CallerSession,
    { subscription: name, replay, ...more }: AttachOptions,
    sink: DeliverySink,
  ): Promise<Attachment> {
    if (typeof name !== 'string') {
      throw invalid('replay', 'needs a subscription that is there, given by its name');
    }
    if (replay === undefined) throw invalid('replay', 'is missing');
    const options = checkReplay(replay);
    checkConsumer(more.consumer);
    const subscription = this.#subscription(caller, name);
    const free = this.#deps.slots.take(subscription.tenant);
    try {
      const id = randomBytes(8).toString('hex');
      const windows = await this.#windows(subscription, options);
      const epoch = LANE_EPOCHS + (this.#opened++ % LANE_EPOCHS);
      const consumer = more.consumer ?? `replay-${id}`;
      const lane = new Lane(
        { id, epoch, subscription, consumer, options, windows, session: caller, sink },
        { ...this.#deps, onEnded: () => this.#forget(id, free) },
      );
      this.#lanes.set(id, lane);
      lane.credit(more.creditEvents ?? 0, more.creditBytes ?? 0);
      lane.start();
      return this.#attachment(lane, caller);
    } catch (error) {
      free();
      throw error;
    }
  }

  async preview(
    session: Session,
    name: string,
    replay: ReplayOptions,
    signal = new AbortController().signal,
  ): Promise<ReplayPreview> {
    const caller = callerOf(session);
    const options = checkReplay(replay);
    const subscription = this.#subscription(caller, name);
    const { store, logName, now, readAheadBytes, slots } = this.#deps;
    const free = slots.take(subscription.tenant);
    try {
      const windows = await this.#windows(subscription, options);
      const mayReceive = (topic: string) => caller.mayReceive(topic) === true;
      const about = { store, log: logName(subscription.tenant), windows, subscription, options };
      return await preview({ ...about, mayReceive, now, readAheadBytes, signal });
    } finally {
      free();
    }
  }

  /** Events that the fullest lane holds. */
  get held(): number {
    return Math.max(0, ...[...this.#lanes.values()].map(({ held }) => held));
  }

  list(session: Session, subscription?: string): Promise<readonly ReplayStatus[]> {
    const caller = callerOf(session);
    const seen = [...this.#lanes.values()].filter(
      (lane) =>
        (subscription === undefined || lane.subscription.name === subscription) &&
        this.#mayManage(caller, lane),
    );
    return Promise.resolve(seen.map((lane) => lane.status()));
  }

  stop(session: Session, id: string): Promise<void> {
    const caller = callerOf(session);
    const lane = this.#lanes.get(id);
    if (lane === undefined || !this.#mayManage(caller, lane)) {
      const error = new MeshError('NotFound', `there is no replay "${id}"`, {
        field: 'id',
      });
      return Promise.reject(error);
    }
    const by = caller.principal.name;
    lane.end(
      new MeshError('Cancelled', `the replay was stopped by ${by}`, { reason: 'REPLAY_STOPPED' }),
    );
    return Promise.resolve();
  }

  /** Ends the lanes of a subscription, as when it is deleted. */
  endOf(tenant: string, name: string, reason: MeshError): void {
    for (const lane of this.#lanes.values()) {
      const { subscription } = lane;
      if (subscription.tenant === tenant && subscription.name === name) lane.end(reason);
    }
  }

  /** Ends all lanes. */
  stopAll(reason: MeshError): void {
    for (const lane of this.#lanes.values()) lane.end(reason);
  }

  #subscription(caller: CallerSession, name: string): Subscription {
    const subscription = this.#deps.admin.find(caller, name);
    checkGrants(caller, subscription);
    if (subscription.deliveryClass === 'durable') return subscription;
    throw new MeshError(
      'FailedPrecondition',
      `"${name}" is of the direct class, which is never stored`,
      { field: 'replay', reason: 'NOT_STORED' },
    );
  }

  #windows({ tenant }: Subscription, options: ReplayOptions) {
    return replayWindows(this.#deps.store, this.#deps.logName(tenant), options);
  }

  /** Whoever may see the subscription may see and stop its lanes. */
  #mayManage(caller: CallerSession, { subscription }: Lane): boolean {
    if (subscription.tenant !== caller.principal.tenant) return false;
    try {
      this.#deps.admin.find(caller, subscription.name);
      return true;
    } catch (error) {
      if (MeshError.from(error).code === 'NotFound') return false;
      throw error;
    }
  }

  #attachment(lane: Lane, caller: CallerSession): Attachment {
    const ended = () => {
      lane.end(new MeshError('Unauthenticated', 'the credential is no longer valid'));
    };
    caller.grants.ended.addEventListener('abort', ended, { once: true });
    return {
      subscription: lane.subscription,
      consumer: lane.consumer,
      replayId: lane.id,
      convergedSites: [],
      unreachableSites: [],
      credit: (events, bytes = 0) => lane.credit(events, bytes),
      drain: () => lane.drain(),
      settle: (ids, outcome, cumulative = false) => lane.settle(ids, outcome, cumulative),
      detach: () => {
        caller.grants.ended.removeEventListener('abort', ended);
        lane.detach();
        return Promise.resolve();
      },
    };
  }

  #forget(id: string, free: () => void): void {
    this.#lanes.delete(id);
    free();
  }
}
