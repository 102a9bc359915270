import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import type { KvOperation } from '@eventmesh/kv-api';
import { HISTORY_MAX, UNDO_BYTES_MAX, historyOf, recordsAt } from './history.ts';
import {
  decodeRecord,
  deleteRecord,
  putRecord,
  recordKey,
  type HistoryRecord,
  type PolicyRecord,
  type StoredRecord,
  type UserRecord,
} from './records.ts';

/** A store with its history, written as the directory writes it. */
class Book {
  version = 0;
  readonly records = new Map<string, StoredRecord>();

  /** Versions have holes, as other parts of a store raise its revision, too. */
  commit(operations: readonly KvOperation[], step = 1): void {
    const more = historyOf(this.version, this.records, this.history, operations);
    for (const operation of [...operations, ...more]) {
      if (operation.type === 'delete') this.records.delete(operation.key);
      else this.records.set(operation.key, decodeRecord(operation.value, operation.key));
    }
    this.version += step;
  }

  get history(): HistoryRecord[] {
    return [...this.records.values()]
      .filter((record) => record.type === 'history')
      .sort((a, b) => a.before - b.before);
  }

  at(version: number): Record<string, StoredRecord> | undefined {
    const past = recordsAt(version, this.records, this.history);
    return past === undefined ? undefined : withoutHistory(past);
  }
}

const withoutHistory = (records: ReadonlyMap<string, StoredRecord>) =>
  Object.fromEntries([...records].filter(([, { type }]) => type !== 'history'));

const policy = (filter: string): PolicyRecord => ({
  type: 'policy',
  tenant: 't',
  subject: 'role:r',
  action: 'publish',
  filter,
  deny: false,
});
const user = (roles: string[], passwordHash: string): UserRecord => ({
  type: 'user',
  tenant: 't',
  name: 'ann',
  roles,
  disabled: false,
  passwordHash,
});

describe('the history of the rights', () => {
  it('takes back any commits to any version that is kept', () => {
    const filter = fc.constantFrom('a', 'b', 'c', 'd');
    const change = fc.oneof(
      filter.map((at) => putRecord(policy(at))),
      filter.map((at) => deleteRecord(policy(at))),
      fc.array(filter, { maxLength: 2 }).map((roles) => putRecord(user(roles, ''))),
      fc.constant(deleteRecord(user([], ''))),
    );
    const commit = fc.record({
      operations: fc.uniqueArray(change, { minLength: 1, maxLength: 3, selector: (c) => c.key }),
      step: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(commit, { maxLength: 12 }), (commits) => {
        const book = new Book();
        const seen = new Map<number, Record<string, StoredRecord>>();
        for (const { operations, step } of commits) {
          seen.set(book.version, withoutHistory(book.records));
          book.commit(operations, step);
        }
        for (const [version, records] of seen) expect(book.at(version)).toEqual(records);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps no secret', () => {
    const book = new Book();
    book.commit([putRecord(user(['r'], 'a-hash'))]);
    book.commit([deleteRecord(user([], ''))]);
    expect(book.at(1)).toEqual({ 'user/t/ann': user(['r'], '') });
    expect(JSON.stringify([...book.records])).not.toContain('a-hash');
  });

  it(`keeps the last ${HISTORY_MAX} commits and says no for what is older`, () => {
    const book = new Book();
    for (let n = 0; n < HISTORY_MAX + 5; n++) book.commit([putRecord(policy(`t/${n}`))]);
    expect(book.history).toHaveLength(HISTORY_MAX);
    expect(book.at(4)).toBeUndefined();
    expect(Object.keys(book.at(5) ?? {})).toHaveLength(5);
  });

  it('says no for what lies before a commit that replaced too much, and yes for what is after', () => {
    const book = new Book();
    const many = Array.from({ length: 100 }, (_, n) => policy(`${n}/${'x'.repeat(500)}`));
    expect(JSON.stringify(many).length).toBeGreaterThan(UNDO_BYTES_MAX);
    book.commit(many.map(putRecord));
    book.commit(many.map(deleteRecord));
    book.commit([putRecord(policy('a'))]);
    expect(book.at(1)).toBeUndefined();
    expect(book.at(2)).toEqual({});
  });

  it('does not note the progress of a bootstrap', () => {
    expect(historyOf(3, new Map(), [], [{ type: 'delete', key: 'bootstrap' }])).toEqual([]);
  });

  it.each([
    ['not a list', { before: 1, undo: 'x' }],
    ['a record of another kind', { before: 1, undo: [{ key: 'k', record: { type: 'history' } }] }],
    ['no version', { undo: [] }],
    ['a part of a record', { before: 1, undo: [{ key: 'k', record: { type: 'user' } }] }],
    ['of another version', { before: 2, undo: [] }],
  ])('takes a stored entry that is %s for one that was not kept', (_, rest) => {
    const value = Buffer.from(JSON.stringify({ type: 'history', ...rest }));
    const entry = decodeRecord(value, 'history/0000000000000001');
    expect(entry).toEqual({ type: 'history', before: 1, undo: null });
  });

  it('does not keep a commit that replaced what could not be read', () => {
    const book = new Book();
    book.records.set('policy/t/x', { type: 'broken', tenant: 't' });
    book.commit([{ type: 'delete', key: 'policy/t/x' }]);
    book.commit([putRecord(policy('a'))]);
    expect(book.at(0)).toBeUndefined();
    expect(book.at(1)).toEqual({});
  });

  it('is found under the key of its version', () => {
    const entry: HistoryRecord = { type: 'history', before: 1, undo: null };
    expect(recordKey(entry)).toBe('history/0000000000000001');
  });
});
