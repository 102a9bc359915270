import {
  checkChange,
  isLetterOf,
  type DeadLetter,
  type DeadLetterGroup,
  type DeadLetterSelection,
  type DeadLettersPort,
  type RedriveOptions,
  type Session,
} from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { badPageToken } from './memory-refusals.ts';
import type { MemoryDeadLetter, MemorySubscription } from './memory-subscription.ts';

/** Quota of a tenant, in bytes of events; never enforced. */
const BYTES_MAX = 1024 * 1024;

/** The dead letters of a memory mesh: those that its subscriptions keep. */
export class MemoryDeadLetters implements DeadLettersPort {
  readonly #subscriptions: (tenant: string) => readonly MemorySubscription[];

  constructor(subscriptions: (tenant: string) => readonly MemorySubscription[]) {
    this.#subscriptions = subscriptions;
  }

  async list(
    session: Session,
    selection: DeadLetterSelection,
    page: { readonly size: number; readonly token: string },
  ) {
    if (!/^\d*$/.test(page.token)) throw badPageToken();
    const after = Number(page.token);
    const all = this.#chosen(session, selection).map(({ letter }) => letter);
    const left = all.filter(({ id }) => id > after);
    const items = left.slice(0, page.size);
    return { items, nextToken: left.length > items.length ? String(items.at(-1)?.id) : '' };
  }

  async get(session: Session, id: number): Promise<DeadLetter> {
    const [found] = this.#chosen(session, { ids: [id] });
    if (found !== undefined) return found.letter;
    throw new MeshError('NotFound', `there is no dead letter ${id}`, { field: 'id' });
  }

  async groups(
    session: Session,
    selection: DeadLetterSelection,
  ): Promise<readonly DeadLetterGroup[]> {
    const letters = this.#chosen(session, selection).map(({ letter }) => letter);
    const groups = Map.groupBy(letters, ({ subscription, cause }) => `${subscription}\0${cause}`);
    return [...groups.values()].map((group) => ({
      subscription: group[0]?.subscription ?? '',
      subscriptionGone: false,
      cause: group[0]?.cause ?? '',
      count: group.length,
      bytes: group.reduce((sum, { event }) => sum + event.length, 0),
      oldestMs: Math.min(...group.map(({ deadMs }) => deadMs)),
      newestMs: Math.max(...group.map(({ deadMs }) => deadMs)),
    }));
  }

  async status(session: Session) {
    const letters = this.#chosen(session, {}).map(({ letter }) => letter);
    const bytes = letters.reduce((sum, { event }) => sum + event.length, 0);
    const [oldest] = letters;
    const oldestMs = oldest?.deadMs ?? 0;
    const limits = { bytesMax: BYTES_MAX, alarmBytes: BYTES_MAX, retentionMs: 0 };
    return { count: letters.length, bytes, ...limits, full: false, alarm: false, oldestMs };
  }

  async redrive(session: Session, selection: DeadLetterSelection, _options: RedriveOptions) {
    checkChange(selection);
    const chosen = this.#chosen(session, selection);
    for (const { owner, kept } of chosen) {
      forget(owner, kept);
      owner.offer(kept.record);
    }
    return { redriven: chosen.length, missing: 0, unmatched: 0, forbidden: 0, nextToken: '' };
  }

  async purge(session: Session, selection: DeadLetterSelection) {
    checkChange(selection);
    const chosen = this.#chosen(session, selection);
    for (const { owner, kept } of chosen) forget(owner, kept);
    return { purged: chosen.length, nextToken: '' };
  }

  /** In the order in which they died. */
  #chosen(session: Session, { subscription, cause, ids }: DeadLetterSelection) {
    return this.#subscriptions(session.principal.tenant)
      .flatMap((owner) =>
        owner.deadLetters.map((kept) => ({ owner, kept, letter: toLetter(owner, kept) })),
      )
      .filter(({ letter }) => subscription === undefined || isLetterOf(letter, subscription))
      .filter(({ letter }) => (cause ?? letter.cause) === letter.cause)
      .filter(({ letter }) => ids?.includes(letter.id) ?? true)
      .sort((a, b) => a.letter.id - b.letter.id);
  }
}

function forget({ deadLetters }: MemorySubscription, kept: MemoryDeadLetter): void {
  deadLetters.splice(deadLetters.indexOf(kept), 1);
}

function toLetter({ spec }: MemorySubscription, kept: MemoryDeadLetter): DeadLetter {
  const { id, attempts, deadMs, reason: cause, record } = kept;
  const { topic, view, partition, position } = record;
  return {
    id,
    attempts,
    deadMs,
    cause,
    topic,
    partition,
    position,
    subscription: spec.name,
    subscriptionCreatedMs: spec.createdMs,
    subscriptionGone: false,
    eventId: view.id,
    source: view.source,
    type: view.type,
    policyRevision: 0,
    redrives: 0,
    event: view.bytes,
  };
}
