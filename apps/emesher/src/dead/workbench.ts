import type {
  ChangeOptions,
  DeadLetter,
  DeadLetterGroup,
  DeadLetterSelection,
  DeadLetterStatus,
  DeadLettersPort,
  RedriveOptions,
  Session,
} from '@eventmesh/adapter-api';
import { subscriptionKey } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import type { Directory } from '../control/directory.ts';
import { purgeFromWire, redriveFromWire, selectionToWire } from '../peer/dead-wire.ts';
import type { OwnerCalls } from '../peer/owner-calls.ts';
import { callerOf, wirePrincipal, type CallerSession } from '../session.ts';
import { batches, readOf, readToken, writeToken } from './batches.ts';
import type { DeadChanges } from './changes.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { DeadLog } from './dead-log.ts';
import { GroupBook } from './groups.ts';
import type { Letter } from './letter.ts';
import type { DeadLimitsOf } from './limits.ts';
import { isGone } from './lives.ts';
import { checkStatus, chooser } from './rights.ts';
import { checked } from './selection.ts';

export interface WorkbenchDeps {
  readonly log: DeadLog;
  readonly letters: DeadLetters;
  readonly changes: DeadChanges;
  readonly directory: Pick<Directory, 'subscriptions'>;
  readonly limits: DeadLimitsOf;
  readonly owners: OwnerCalls;
}

/** Bytes of letters in one page; at least one letter. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;
/** Letters read for one page. */
const PAGE_SCANNED_MAX = 50_000;

/**
 * The workbench of dead letters, over the store alone: any emesher of the site answers the same. What
 * changes them is done by whichever is at it already.
 */
export class Workbench implements DeadLettersPort {
  readonly #deps: WorkbenchDeps;

  constructor(deps: WorkbenchDeps) {
    this.#deps = deps;
  }

  redrive(session: Session, selection: DeadLetterSelection, options: RedriveOptions) {
    const { owners, changes } = this.#deps;
    const caller = callerOf(session);
    const { rateMax, token: pageToken } = options;
    return owners.run({
      ...about(caller, options),
      here: () => changes.redrive(caller, selection, options),
      async there(client, call) {
        const request = { selection: selectionToWire(selection), rateMax, pageToken };
        const principal = wirePrincipal(caller);
        const { response } = await client.redriveDeadLetters({ principal, request }, call);
        return redriveFromWire(response);
      },
    });
  }

  purge(session: Session, selection: DeadLetterSelection, options: ChangeOptions) {
    const { owners, changes } = this.#deps;
    const caller = callerOf(session);
    return owners.run({
      ...about(caller, options),
      here: () => changes.purge(caller, selection, options),
      async there(client, call) {
        const request = { selection: selectionToWire(selection), pageToken: options.token };
        const principal = wirePrincipal(caller);
        const { response } = await client.purgeDeadLetters({ principal, request }, call);
        return purgeFromWire(response);
      },
    });
  }

  async list(
    session: Session,
    selection: DeadLetterSelection,
    page: { readonly size: number; readonly token: string },
  ) {
    const { log } = this.#deps;
    const caller = callerOf(session);
    const { tenant } = caller.principal;
    const { settled, first, last } = await log.stats(tenant);
    const { from, upTo } = readToken(page.token, last);
    const choose = this.#chooser(caller, checked(selection));
    const read = { ...readOf(selection), from: Math.max(from, first), upTo };
    const limits = { letters: page.size, bytes: PAGE_BYTES_MAX };
    const open = (letter: Letter) => !settled.has(letter.id) && choose(letter);
    for await (const batch of batches(log, tenant, read, open, limits)) {
      const items = batch.letters.map(({ letter }) => this.#shown(tenant, letter));
      if (items.length === 0 && batch.upTo < Math.min(upTo, from + PAGE_SCANNED_MAX)) continue;
      return { items, nextToken: writeToken(batch.upTo, upTo) };
    }
    return { items: [], nextToken: '' };
  }

  async get(session: Session, id: number): Promise<DeadLetter> {
    const { items } = await this.list(session, { ids: [id] }, { size: 1, token: '' });
    const [found] = items;
    if (found !== undefined) return found;
    throw new MeshError('NotFound', `there is no dead letter ${id}; it may be redriven or purged`, {
      field: 'id',
    });
  }

  async groups(
    session: Session,
    selection: DeadLetterSelection,
  ): Promise<readonly DeadLetterGroup[]> {
    const { log } = this.#deps;
    const caller = callerOf(session);
    const { tenant } = caller.principal;
    const { settled, first, last } = await log.stats(tenant);
    const choose = this.#chooser(caller, checked(selection));
    const book = new GroupBook();
    const read = { ...readOf(selection), from: first, upTo: last };
    for await (const { letter } of log.letters(tenant, read)) {
      if (!settled.has(letter.id) && choose(letter)) book.add(this.#shown(tenant, letter));
    }
    return book.groups;
  }

  async status(session: Session): Promise<DeadLetterStatus> {
    const { log, letters, limits } = this.#deps;
    const caller = callerOf(session);
    checkStatus(caller);
    const { tenant } = caller.principal;
    const { bytesMax, alarmBytes, retentionMs } = limits(tenant);
    const { count, bytes, first } = await log.stats(tenant);
    const full = bytes >= bytesMax || letters.full(tenant);
    const alarm = bytes >= alarmBytes;
    const oldestMs = await log.diedAt(tenant, first);
    return { count, bytes, bytesMax, full, alarmBytes, alarm, retentionMs, oldestMs };
  }

  #shown(tenant: string, letter: Letter): DeadLetter {
    const current = this.#deps.directory.subscriptions.get(
      subscriptionKey({ tenant, name: letter.subscription }),
    );
    return { ...letter, subscriptionGone: isGone(letter, current) };
  }

  #chooser(caller: CallerSession, selection: DeadLetterSelection) {
    const { tenant } = caller.principal;
    const { subscriptions } = this.#deps.directory;
    return chooser(caller, selection, (name) =>
      subscriptions.get(subscriptionKey({ tenant, name })),
    );
  }
}

const about = ({ principal }: CallerSession, { signal, deadlineMs }: ChangeOptions) => ({
  what: `the dead letters of "${principal.tenant}"`,
  signal,
  deadlineMs,
});
