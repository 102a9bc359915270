import { describe, expect, it } from '@jest/globals';
import { NO_COUNTS } from '@eventmesh/delivery';
import {
  silenceFindings,
  subscriptionFindings,
  tenantFindings,
  type SubscriptionBooks,
  type TenantBooks,
} from './ledger-check.ts';

const books: SubscriptionBooks = {
  tenant: 't',
  name: 's',
  counters: { ...NO_COUNTS, considered: 10, delivered: 4, filtered: 3, expired: 1, dropped: 1 },
  held: 1,
  partitions: [
    { partition: 0, start: 5, looked: 6, first: 1 },
    { partition: 1, start: 1, looked: 4, first: 1 },
  ],
};
const tenant: TenantBooks = {
  tenant: 't',
  stored: 12,
  receipts: 12,
  emeshers: 1,
  others: false,
  lettersWritten: 2,
  lettersCounted: 2,
};
const part = (more: Partial<SubscriptionBooks['partitions'][number]>) => [
  { partition: 0, start: 1, looked: 10, first: 1, ...more },
];

describe('reconciling a subscription with the store', () => {
  it.each<[string, Partial<SubscriptionBooks>, string[]]>([
    ['all in order', {}, ['ok', 'ok']],
    ['an event without an outcome', { held: 0 }, ['difference', 'ok']],
    [
      'an event with two outcomes',
      { counters: { ...books.counters, delivered: 5 } },
      ['difference', 'ok'],
    ],
    [
      'positions passed without being counted',
      { partitions: part({ looked: 11 }) },
      ['ok', 'difference'],
    ],
    ['events counted twice', { partitions: part({ looked: 9 }) }, ['ok', 'difference']],
    ['positions that were gone', { partitions: part({ looked: 12, first: 3 }) }, ['ok', 'ok']],
    [
      'more than what was gone',
      { partitions: part({ looked: 14, first: 3 }) },
      ['ok', 'difference'],
    ],
    [
      'a cursor that does not tell its start',
      { partitions: part({ start: undefined }) },
      ['ok', 'unknown'],
    ],
  ])('%s', (_, more, verdicts) => {
    const findings = subscriptionFindings({ ...books, ...more });
    expect(findings.map(({ check }) => check)).toEqual(['outcomes', 'progress']);
    expect(findings.map(({ verdict }) => verdict)).toEqual(verdicts);
  });
});

describe('reconciling a tenant with the store', () => {
  it.each<[string, Partial<TenantBooks>, string[]]>([
    ['all in order', {}, ['ok', 'ok']],
    ['a receipt without a record', { stored: 11 }, ['difference', 'ok']],
    ['a record without a receipt', { stored: 13 }, ['difference', 'ok']],
    ['records of other emeshers', { stored: 13, others: true }, ['unknown', 'ok']],
    [
      'a receipt without a record, though others have written',
      { stored: 11, others: true },
      ['difference', 'ok'],
    ],
    ['a dead letter that was never written', { lettersWritten: 1 }, ['ok', 'difference']],
    ['letters of deleted subscriptions', { lettersWritten: 5 }, ['ok', 'ok']],
  ])('%s', (_, more, verdicts) => {
    expect(tenantFindings({ ...tenant, ...more }).map(({ verdict }) => verdict)).toEqual(verdicts);
  });
});

describe('books that are not told', () => {
  it('are a finding of their own, which names who did not tell them', () => {
    const silent = [{ site: 'west', emesher: 'west-2', reason: 'it did not answer' }];
    expect(silenceFindings('t', 1, [])).toEqual([]);
    expect(silenceFindings('t', 1, silent)).toMatchObject([
      {
        check: 'emeshers',
        expected: 2,
        counted: 1,
        verdict: 'unknown',
        detail: expect.stringContaining('west-2 (it did not answer)'),
      },
    ]);
  });
});
