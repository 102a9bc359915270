import type { TraceStep, WhyAnswer, WhyQuery, WhySearch } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { NO_HANDLING, topicMatches } from '@eventmesh/event';
import type { Directory } from '../../control/directory.ts';
import type { CallerSession } from '../../session.ts';
import { findCopies, type Copy, type FindDeps } from '../find-event.ts';
import type { Refusals } from '../refusals.ts';
import { answerOf, type KnownCopy } from './answers.ts';
import { explain } from './explain.ts';
import { filterProblem } from './filter-problem.ts';
import { linkAnswers, type LinkDeps } from './link-answers.ts';
import { placeOf, type PlaceDeps } from './place.ts';
import { scheduledAnswers } from './scheduled.ts';

export interface ExplainerDeps extends FindDeps, PlaceDeps, LinkDeps {
  readonly directory: Directory;
  readonly refusals: Refusals;
  readonly policies: Pick<GovernanceView, 'revision'>;
  /** The rights that a subscription's deliveries are checked against. */
  readonly ownerSession: (subscription: Subscription) => Promise<CallerSession>;
  readonly now: () => number;
}

export interface SiteAnswer {
  readonly answers: readonly WhyAnswer[];
  readonly searches: readonly WhySearch[];
  readonly copies: readonly KnownCopy[];
}

/** What an owner may receive now. */
interface Rights {
  readonly revision: number;
  mayReceive(topic: string): boolean | undefined;
}

/** What became of an event at this site, and why. */
export class Explainer {
  readonly #deps: ExplainerDeps;

  constructor(deps: ExplainerDeps) {
    this.#deps = deps;
  }

  /** @param known What the sites that were asked before know of the event. */
  async explain(tenant: string, query: WhyQuery, known: readonly KnownCopy[]): Promise<SiteAnswer> {
    const { eventId, source } = query;
    const { copies, searches } = await findCopies(this.#deps, tenant, eventId, source);
    const wanted = this.#subscriptions(tenant, query.subscription);
    const answers = query.subscription === undefined ? this.#refused(tenant, eventId, source) : [];
    // What was scheduled is published under its id when its time has come.
    if (copies.length === 0) {
      answers.push(...(await scheduledAnswers(this.#deps, tenant, eventId, source)));
    }
    for (const copy of copies) answers.push(...(await this.#ofCopy(tenant, copy, wanted, query)));
    const missing = known.filter(({ source: from }) =>
      copies.every((copy) => copy.source !== from),
    );
    for (const each of missing) answers.push(...wanted.map((one) => this.#notHere(one, each)));
    return { answers, searches, copies: copies.flatMap((copy) => this.#told(copy)) };
  }

  #subscriptions(tenant: string, name: string | undefined): readonly Subscription[] {
    return [...this.#deps.directory.subscriptions.values()]
      .filter((each) => each.tenant === tenant && (name === undefined || each.name === name))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #refused(tenant: string, id: string, source: string | undefined): WhyAnswer[] {
    const { site, refusals, policies } = this.#deps;
    return refusals.find(tenant, id, source).map((refusal) =>
      answerOf({
        site,
        subject: 'publish',
        state: 'refused',
        reason: `${refusal.code} (${refusal.reason}) to ${refusal.principal}: ${refusal.message}`,
        source: refusal.source,
        topic: refusal.topic,
        timeUs: refusal.timeUs,
        policyRevisionNow: policies.revision,
      }),
    );
  }

  async #ofCopy(
    tenant: string,
    copy: Copy,
    wanted: readonly Subscription[],
    query: WhyQuery,
  ): Promise<WhyAnswer[]> {
    const steps = this.#deps.journal.steps({ ...copy, tenant, id: query.eventId });
    const only = copy.record?.handling.onlySubscription ?? '';
    // A redriven dead letter is about one subscription; the others have their answer already.
    const about = query.subscription !== undefined || only === '';
    const subscriptions = about ? wanted : wanted.filter(({ name }) => name === only);
    const answers = subscriptions.map((one) => this.#ofSubscription(one, copy, steps));
    if (query.subscription !== undefined) return Promise.all(answers);
    return [...(await Promise.all(answers)), ...linkAnswers(this.#deps, tenant, copy, steps)];
  }

  async #ofSubscription(
    subscription: Subscription,
    copy: Copy,
    allSteps: readonly TraceStep[],
  ): Promise<WhyAnswer> {
    const { site, policies, now, logs, store } = this.#deps;
    const { tenant, name } = subscription;
    const { partition, position, source, topic, record } = copy;
    const steps = allSteps.filter(({ subject }) => subject === name);
    const place = { site, subject: name, source, topic, partition, position };
    if (record === undefined) {
      const accepted = steps.some(({ step, detail }) => step === 'settled' && detail === 'accept');
      const reason = 'no longer in the store: dropped by age, by size or by hand';
      return answerOf({ ...place, state: accepted ? 'delivered' : 'gone', reason });
    }
    const info = await store.logInfo(logs.name(tenant));
    const last = info?.partitions.find((each) => each.partition === partition)?.last ?? position;
    const rights = await this.#rights(subscription);
    const verdict = explain({
      subscription,
      record,
      position,
      place: await placeOf(this.#deps, subscription, { partition, position, record, last }),
      steps,
      receives: rights.mayReceive(topic),
      filterProblem: filterProblem(subscription.filters, record.event),
      nowMs: now(),
    });
    // Each site counts the revisions of its own policies: those of another one tell nothing here.
    const admitted = record.originSite === site ? record.handling : NO_HANDLING;
    return answerOf({
      ...place,
      ...verdict,
      policyRevision: admitted.policyRevision,
      policyRevisionNow: policies.revision,
      grantsRevision: admitted.grantsRevision,
      grantsRevisionNow: rights.revision,
    });
  }

  /** As at a delivery: who is not known any more may nothing, and nobody can tell while acl is away. */
  async #rights(subscription: Subscription): Promise<Rights> {
    try {
      const session = await this.#deps.ownerSession(subscription);
      return {
        revision: Math.max(0, session.grants.revision),
        mayReceive: (topic) => session.mayReceive(topic),
      };
    } catch (error) {
      const away = MeshError.from(error).code === 'Unavailable';
      return { revision: 0, mayReceive: () => (away ? undefined : false) };
    }
  }

  /** Another site has the event, and this one has not. */
  #notHere(subscription: Subscription, copy: KnownCopy): WhyAnswer {
    const { site } = this.#deps;
    const { source, topic } = copy;
    const wants = subscription.topicFilters.some((filter) => topicMatches(filter, topic));
    const addressed = copy.destinations.includes(site);
    const later = subscription.createdMs * 1000 > copy.ingressTimeUs;
    const why = addressed
      ? 'it is on its way, or was lost on it: see the links'
      : later
        ? 'the subscription was made after it was published'
        : `${copy.originSite} did not know of the interest of this site when it was published`;
    const reason = wants
      ? `the event has not come to this site: ${why}`
      : `the event has not come to this site, and no topic filter matches "${topic}"`;
    return answerOf({ site, subject: subscription.name, state: 'not-here', reason, source, topic });
  }

  #told({ source, topic, record }: Copy): KnownCopy[] {
    if (record === undefined) return [];
    const { originSite, destinations, ingressTimeUs } = record;
    return [{ source, topic, originSite, destinations, ingressTimeUs }];
  }
}
