import type {
  DeadLetter,
  DeadLetterGroup,
  DeadLetterSelection,
  DeadLetterStatus,
  DeadLettersPort,
  Session,
} from '@eventmesh/adapter-api';
import { DEAD_LETTER_IDS_MAX } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import type { Directory } from '../control/directory.ts';
import { callerOf, type CallerSession } from '../session.ts';
import { batches, readOf, readToken, writeToken } from './batches.ts';
import type { DeadChanges } from './changes.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { DeadLog } from './dead-log.ts';
import { GroupBook } from './groups.ts';
import { checkStatus, chooser } from './rights.ts';

export interface WorkbenchDeps {
  readonly log: DeadLog;
  readonly letters: DeadLetters;
  readonly changes: DeadChanges;
  readonly directory: Pick<Directory, 'subscriptions'>;
  /** Of a tenant, in stored bytes. */
  readonly bytesMax: number;
}

/** Bytes of letters in one page; at least one letter. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;
/** Letters read for one page. */
const PAGE_SCANNED_MAX = 50_000;

/** The workbench of dead letters, over the store alone: any emesher of the site answers the same. */
export class Workbench implements DeadLettersPort {
  readonly #deps: WorkbenchDeps;
  readonly redrive: DeadLettersPort['redrive'];
  readonly purge: DeadLettersPort['purge'];

  constructor(deps: WorkbenchDeps) {
    this.#deps = deps;
    const { changes } = deps;
    this.redrive = (session, selection, options) =>
      changes.redrive(callerOf(session), checked(selection), options);
    this.purge = (session, selection, options) =>
      changes.purge(callerOf(session), checked(selection), options);
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
    const open = (letter: DeadLetter) => !settled.has(letter.id) && choose(letter);
    for await (const batch of batches(log, tenant, read, open, limits)) {
      const items = batch.letters.map(({ letter }) => letter);
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
      if (!settled.has(letter.id) && choose(letter)) book.add(letter);
    }
    return book.groups;
  }

  async status(session: Session): Promise<DeadLetterStatus> {
    const { log, letters, bytesMax } = this.#deps;
    const caller = callerOf(session);
    checkStatus(caller);
    const { tenant } = caller.principal;
    const { count, bytes, first } = await log.stats(tenant);
    const full = bytes >= bytesMax || letters.full(tenant);
    return { count, bytes, bytesMax, full, oldestMs: await log.diedAt(tenant, first) };
  }

  #chooser(caller: CallerSession, selection: DeadLetterSelection) {
    const { tenant } = caller.principal;
    const { subscriptions } = this.#deps.directory;
    return chooser(caller, selection, (name) => subscriptions.get(`${tenant}/${name}`));
  }
}

/** @throws InvalidArgument that names the field. */
function checked(selection: DeadLetterSelection): DeadLetterSelection {
  const { ids = [] } = selection;
  if (ids.length > DEAD_LETTER_IDS_MAX) {
    const limit = `${DEAD_LETTER_IDS_MAX} ids`;
    throw invalid('selection.ids', `there are ${ids.length}`, { limit });
  }
  for (const [index, id] of ids.entries()) {
    if (Number.isSafeInteger(id) && id > 0) continue;
    throw invalid(`selection.ids[${index}]`, `${id} is not the id of a dead letter`);
  }
  return selection;
}
