import type {
  AttachOptions,
  Attachment,
  DeliverySink,
  SettleOutcome,
} from '@eventmesh/adapter-api';
import type { Directory } from '../control/directory.ts';
import { checkSubscription, type Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { checkGrants, type CallerSession } from '../session.ts';
import type { DirectSwitch } from '../publish/direct.ts';
import { sameSpec } from './same-spec.ts';
import type { Runners } from './runners.ts';
import type { SubscriptionAdmin } from './subscription-admin.ts';

export interface AttachmentsDeps {
  readonly directory: Directory;
  readonly runners: Runners;
  readonly admin: SubscriptionAdmin;
  readonly direct: DirectSwitch;
}

/** Brings consumers to subscriptions: finds or makes the subscription, owns it, attaches. */
export class Attachments {
  readonly #deps: AttachmentsDeps;
  #consumers = 0;

  constructor(deps: AttachmentsDeps) {
    this.#deps = deps;
  }

  async attach(
    session: CallerSession,
    options: AttachOptions,
    sink: DeliverySink,
  ): Promise<Attachment> {
    const { subscription, interestVersion } = await this.#find(session, options);
    const consumer = options.consumer ?? `consumer-${(++this.#consumers).toString(36)}`;
    const attachment =
      subscription.deliveryClass === 'direct'
        ? this.#attachDirect(session, subscription, consumer, sink)
        : await this.#attachDurable(session, subscription, consumer, sink);
    try {
      const converged = await this.#converge(interestVersion, options.convergeMs ?? 0);
      attachment.credit(options.creditEvents ?? 0, options.creditBytes ?? 0);
      return { ...attachment, ...converged };
    } catch (error) {
      // The caller gets no hold on it, so it must not stay attached.
      await attachment.detach();
      throw error;
    }
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
    const there = admin.peek(session, spec.name);
    if (there !== undefined) {
      if (!sameSpec(there, spec)) {
        throw new MeshError('AlreadyExists', `subscription "${name}" exists with another spec`, {
          field: 'subscription',
          reason: 'SUBSCRIPTION_DIFFERS',
        });
      }
      checkGrants(session, there);
      return { subscription: there, interestVersion: 0n };
    }
    return admin.make(session, spec);
  }

  #attachDirect(
    session: CallerSession,
    subscription: Subscription,
    consumer: string,
    sink: DeliverySink,
  ): Attachment {
    const attachment = this.#deps.direct.attach(session, subscription, consumer, sink);
    return {
      ...attachment,
      detach: async () => {
        await attachment.detach();
        if (subscription.ephemeral) await this.#deps.directory.forget(subscription);
      },
    };
  }

  async #attachDurable(
    session: CallerSession,
    subscription: Subscription,
    consumer: string,
    sink: DeliverySink,
  ): Promise<Attachment> {
    const runner = await this.#deps.runners.own(subscription, session);
    if (subscription.mode === 'exclusive' && runner.consumers > 0) {
      throw new MeshError('FailedPrecondition', `"${subscription.name}" has its one consumer`, {
        reason: 'EXCLUSIVE',
      });
    }
    runner.attach(consumer, sink);
    const ended = () => {
      const reason = new MeshError('Unauthenticated', 'the credential is no longer valid');
      sink.ended(reason);
      void this.#deps.runners.leave(runner, consumer);
    };
    session.grants.ended.addEventListener('abort', ended, { once: true });
    let detached: Promise<void> | undefined;
    return {
      subscription,
      consumer,
      convergedSites: [],
      unreachableSites: [],
      credit: (events, bytes = 0) => runner.credit(consumer, events, bytes),
      settle: (ids: readonly number[], outcome: SettleOutcome, cumulative = false) =>
        runner.settle(consumer, ids, outcome, cumulative),
      detach: () => {
        session.grants.ended.removeEventListener('abort', ended);
        detached ??= this.#deps.runners.leave(runner, consumer);
        return detached;
      },
    };
  }

  async #converge(interestVersion: bigint, timeoutMs: number) {
    if (timeoutMs === 0) {
      return { convergedSites: [], unreachableSites: [] };
    }
    return this.#deps.directory.converge(interestVersion, timeoutMs);
  }
}
