import { randomBytes } from 'node:crypto';
import type { AttachOptions, Attachment, DeliverySink } from '@eventmesh/adapter-api';
import { checkSubscription, type Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';
import type { Directory } from '../control/directory.ts';
import { checkGrants, type CallerSession } from '../session.ts';
import { checkConsumer } from './consumer-name.ts';
import type { DirectGroups } from './direct-groups.ts';
import type { Hold } from './hold.ts';
import { Roaming, type RoamingOptions } from './roaming.ts';
import type { Runners } from './runners.ts';
import type { SubscriptionAdmin } from './subscription-admin.ts';

/** @throws MeshError as `isMoved` tells when the owner is gone; else what the owner answers. */
export type AttachThere = (
  refused: MeshError,
  subscription: Subscription,
  session: CallerSession,
  consumer: string,
  sink: DeliverySink,
) => Promise<Hold>;

export interface AttachmentsDeps {
  readonly directory: Directory;
  readonly runners: Runners;
  readonly groups: DirectGroups;
  readonly admin: SubscriptionAdmin;
  /** A place at the emesher that owns the subscription, given how this one was refused. */
  readonly attachThere: AttachThere;
  readonly pause: RoamingOptions['pause'];
  readonly logger: Logger;
  /** How long the lease of an emesher that died may run, in ms. */
  readonly leaseMs: number;
}

/** Brings consumers to subscriptions: finds or makes the subscription, here or where it runs. */
export class Attachments {
  readonly #deps: AttachmentsDeps;

  constructor(deps: AttachmentsDeps) {
    this.#deps = deps;
  }

  async attach(
    session: CallerSession,
    options: AttachOptions,
    sink: DeliverySink,
  ): Promise<Attachment> {
    const { admin, leaseMs, pause } = this.#deps;
    checkConsumer(options.consumer);
    const { subscription, interestVersion } = await this.#find(session, options);
    const consumer = options.consumer ?? `consumer-${randomBytes(4).toString('hex')}`;
    const consumed = await admin.consumed(subscription, options.consumer);
    const roaming = await Roaming.open({
      subscription: consumed.name,
      sink,
      take: (to) => this.#take(session, consumed, consumer, to),
      leaseMs,
      pause,
    }).catch((thrown: unknown) => {
      const { reason, message } = MeshError.from(thrown);
      if (reason === 'NO_OWNER') this.#deps.logger.warn({ subscription: consumed.name }, message);
      throw thrown;
    });
    const detach = this.#endWith(session, sink, () => roaming.detach());
    try {
      const converged = await this.#converge(interestVersion, options.convergeMs ?? 0);
      roaming.credit(options.creditEvents ?? 0, options.creditBytes ?? 0);
      return {
        subscription,
        consumer,
        ...converged,
        credit: (events, bytes = 0) => roaming.credit(events, bytes),
        drain: () => roaming.drain(),
        settle: (ids, outcome, cumulative = false) => roaming.settle(ids, outcome, cumulative),
        detach,
      };
    } catch (error) {
      // The caller gets no hold on it, so it must not stay attached.
      await detach();
      throw error;
    }
  }

  /** A place at this very emesher. @throws Unavailable (OWNED_ELSEWHERE) when it runs elsewhere. */
  readonly attachHere = (
    subscription: Subscription,
    session: CallerSession,
    consumer: string,
    sink: DeliverySink,
  ): Promise<Hold> =>
    subscription.deliveryClass === 'direct'
      ? this.#deps.groups.attach(subscription, session, sink)
      : this.#deps.runners.attach(subscription, session, consumer, sink);

  async #take(
    session: CallerSession,
    subscription: Subscription,
    consumer: string,
    sink: DeliverySink,
  ): Promise<Hold> {
    try {
      return await this.attachHere(subscription, session, consumer, sink);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.reason !== 'OWNED_ELSEWHERE') throw error;
      return this.#deps.attachThere(error, subscription, session, consumer, sink);
    }
  }

  /** The consumer goes when its credential ends. Answers how to detach, once. */
  #endWith(
    { grants }: CallerSession,
    sink: DeliverySink,
    detach: () => Promise<void>,
  ): () => Promise<void> {
    let detached: Promise<void> | undefined;
    const leave = () => {
      grants.ended.removeEventListener('abort', ended);
      detached ??= detach();
      return detached;
    };
    const ended = () => {
      if (detached !== undefined) return;
      sink.ended(new MeshError('Unauthenticated', 'the credential is no longer valid'));
      void leave();
    };
    grants.ended.addEventListener('abort', ended, { once: true });
    return leave;
  }

  async #find(
    session: CallerSession,
    options: AttachOptions,
  ): Promise<{ subscription: Subscription; interestVersion: bigint }> {
    const { admin } = this.#deps;
    if (typeof options.subscription === 'string') {
      const subscription = admin.find(session, options.subscription);
      checkGrants(session, subscription);
      return { subscription, interestVersion: 0n };
    }
    const { name } = options.subscription;
    const spec = checkSubscription(
      name === ''
        ? { ...options.subscription, name: admin.ephemeralName(), ephemeral: true }
        : options.subscription,
    );
    return admin.findOrMake(session, spec);
  }

  async #converge(interestVersion: bigint, timeoutMs: number) {
    if (timeoutMs === 0) {
      return { convergedSites: [], unreachableSites: [] };
    }
    return this.#deps.directory.converge(interestVersion, timeoutMs);
  }
}
