import type { SilentEmesher, WhyAnswer, WhyQuery, WhySearch } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import { NO_REVISIONS, topicMatches, type RecordView, type Revisions } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import type { Directory } from '../../control/directory.ts';
import type { Logs } from '../../logs.ts';
import { findCopies, type Copy, type FindDeps } from '../find-event.ts';
import type { EventPlace } from '../journal.ts';
import type { Inquiry, Inspector, Located } from '../memory.ts';
import type { Refusal } from '../refusals.ts';
import { answerOf, type KnownCopy } from './answers.ts';
import { explain } from './explain.ts';
import type { Facts } from './facts.ts';
import { filterProblem } from './filter-problem.ts';
import { linkAnswers, type LinkDeps } from './link-answers.ts';
import { OwnerRights, type OwnerRightsDeps } from './owner-rights.ts';
import { storedPlace, type PlaceDeps, type Stored } from './place.ts';
import { scheduledAnswers } from './scheduled.ts';
import { stepsFor } from './steps-for.ts';

export interface ExplainerDeps extends FindDeps, PlaceDeps, LinkDeps, OwnerRightsDeps {
  readonly store: EventStore;
  readonly logs: Logs;
  readonly directory: Pick<Directory, 'subscriptions' | 'partsOf'>;
  /** Begins an inspection at all emeshers of the site. */
  readonly inquire: (inspector: Inspector) => Inquiry;
  readonly policies: Pick<GovernanceView, 'revision'>;
  readonly now: () => number;
}

export interface SiteAnswer {
  readonly answers: readonly WhyAnswer[];
  readonly searches: readonly WhySearch[];
  readonly copies: readonly KnownCopy[];
  readonly silentEmeshers: readonly SilentEmesher[];
}

/** One question. */
interface Asked {
  /** The subscription that it is about; undefined: all. */
  readonly name: string | undefined;
  readonly rights: OwnerRights;
}

/** What became of an event at this site, and why. */
export class Explainer {
  readonly #deps: ExplainerDeps;

  constructor(deps: ExplainerDeps) {
    this.#deps = deps;
  }

  /** @param known What the sites that were asked before know of the event. */
  async explain(
    inspector: Inspector,
    { eventId: id, source, subscription }: WhyQuery,
    known: readonly KnownCopy[],
  ): Promise<SiteAnswer> {
    const { tenant } = inspector;
    const inquiry = this.#deps.inquire(inspector);
    const { places, refusals } = await inquiry.recall(id, source);
    const event = { tenant, id, source };
    const { copies, searches } = await findCopies(this.#deps, event, places);
    const wanted = this.#subscriptions(tenant, subscription);
    // Of a broadcast its parts are asked for, whose names are their own.
    const only = wanted.every(({ name }) => name === subscription) ? subscription : undefined;
    const located = await inquiry.locate(copies, { subscription: only });
    const asked = { name: subscription, rights: new OwnerRights(this.#deps) };
    const answers = subscription === undefined ? refusals.map((each) => this.#refused(each)) : [];
    // What was scheduled is published under its id when its time has come.
    if (copies.length === 0) {
      answers.push(...(await scheduledAnswers(this.#deps, tenant, id, source)));
    }
    for (const copy of copies) {
      answers.push(...(await this.#ofCopy(copy, wanted, asked, at(located, copy))));
    }
    const missing = known.filter(({ source: from }) =>
      copies.every((copy) => copy.source !== from),
    );
    for (const each of missing) answers.push(...wanted.map((one) => this.#notHere(one, each)));
    const told = copies.flatMap((copy) => this.#told(copy));
    return { answers, searches, copies: told, silentEmeshers: inquiry.silent };
  }

  /** A broadcast is told of by its parts, which have all that becomes of its events. */
  #subscriptions(tenant: string, name: string | undefined): readonly Subscription[] {
    const { directory } = this.#deps;
    return [...directory.subscriptions.values()]
      .filter((each) => each.tenant === tenant)
      .filter((each) => name === undefined || each.name === name || each.broadcastOf === name)
      .filter((each) => !isWhole(each) || directory.partsOf(each).length === 0)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #refused(refusal: Refusal): WhyAnswer {
    const { site, policies } = this.#deps;
    const { code, reason, principal, message, source, topic, timeUs } = refusal;
    return answerOf({
      site,
      subject: 'publish',
      state: 'refused',
      reason: `${code} (${reason}) to ${principal}: ${message}`,
      source,
      topic,
      timeUs,
      policyRevision: refusal.policyRevision,
      policyRevisionNow: policies.revision,
      grantsRevision: refusal.grantsRevision,
    });
  }

  async #ofCopy(
    copy: Copy,
    wanted: readonly Subscription[],
    { name: asked, rights }: Asked,
    located: Located,
  ): Promise<WhyAnswer[]> {
    const only = copy.record?.handling.onlySubscription ?? '';
    // A redriven dead letter is about one subscription; the others have their answer already.
    const about = asked !== undefined || only === '';
    const subscriptions = about ? wanted : wanted.filter(({ name }) => name === only);
    const answers = await Promise.all(
      subscriptions.map((one) => this.#ofSubscription(one, copy, located, rights)),
    );
    if (asked !== undefined) return answers;
    return [...answers, ...linkAnswers(this.#deps, copy, located.steps, located.links)];
  }

  async #ofSubscription(
    subscription: Subscription,
    copy: Copy,
    located: Located,
    rights: OwnerRights,
  ): Promise<WhyAnswer> {
    const { site, policies } = this.#deps;
    const { name } = subscription;
    const { partition, position, source, topic, record } = copy;
    const steps = stepsFor(subscription, located.steps);
    const place = { site, subject: name, source, topic, partition, position };
    if (record === undefined) {
      const accepted = steps.some(({ step, detail }) => step === 'settled' && detail === 'accept');
      return answerOf({ ...place, state: accepted ? 'delivered' : 'gone', reason: GONE });
    }
    const { policyRevision, grantsRevision } = inForceAt(site, record);
    const current = await rights.now(subscription);
    const { revision: now } = current;
    const past = await rights.past(subscription, topic, { revision: grantsRevision, now });
    const stands = await this.#place(subscription, { partition, position, record }, located);
    const judgedBy = stands.kind === 'settled' ? (past?.revision ?? now) : now;
    const verdict = explain({
      subscription,
      record,
      position,
      place: stands,
      steps,
      receives: current.mayReceive(topic),
      past,
      filterProblem: filterProblem(subscription.filters, record.event),
      nowMs: this.#deps.now(),
    });
    return answerOf({
      ...place,
      ...verdict,
      policyRevision,
      policyRevisionNow: policies.revision,
      grantsRevision,
      grantsRevisionNow: now,
      grantsRevisionJudged:
        verdict.state === 'forbidden' || verdict.state === 'settled' ? judgedBy : 0,
    });
  }

  /** By the emesher that runs the subscription, the newest owner's word; else by its cursor. */
  async #place(
    subscription: Subscription,
    stored: Omit<Stored, 'last'>,
    { standings }: Located,
  ): Promise<Facts['place']> {
    if (isWhole(subscription)) return { kind: 'no-part' };
    const own = standings.filter((each) => each.subscription === subscription.name);
    const [newest] = own.sort((a, b) => b.epoch - a.epoch);
    if (newest !== undefined) return newest.place;
    const { store, logs } = this.#deps;
    const { partition, position } = stored;
    const info = await store.logInfo(logs.name(subscription.tenant));
    const last = info?.partitions.find((each) => each.partition === partition)?.last ?? position;
    return storedPlace(this.#deps, subscription, { ...stored, last });
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

const GONE =
  'no longer in the store: dropped by age, by size or by hand; what is remembered of it is by a ' +
  'fingerprint of its id, which nothing can be compared with any more';

/**
 * The revisions of a site's own policies when it took a record in, from a publisher or over a link;
 * those of other sites tell nothing of the rights at this one.
 */
function inForceAt(site: string, { originSite, handling, hops }: RecordView): Revisions {
  if (originSite === site) return handling;
  return hops.find((hop) => hop.site === site) ?? NO_REVISIONS;
}

/** A broadcast itself, beside its parts. */
const isWhole = ({ mode, deliveryClass }: Subscription): boolean =>
  mode === 'broadcast' && deliveryClass === 'durable';

/** What is known of one copy. */
function at({ steps, standings, links, more }: Located, copy: EventPlace): Located {
  const here = ({ partition, position }: EventPlace) =>
    partition === copy.partition && position === copy.position;
  return {
    steps: steps.filter(here),
    standings: standings.filter(here),
    links: links.filter(here),
    more,
  };
}
