import type { LedgerFinding, SilentEmesher } from '@eventmesh/adapter-api';
import type { Counters } from '@eventmesh/delivery';

/** The books of a subscription beside what the store says of its progress. */
export interface SubscriptionBooks {
  readonly tenant: string;
  readonly name: string;
  readonly counters: Omit<Counters, 'redelivered' | 'filterErrors'>;
  readonly held: number;
  /** By partition: where its books begin, and how many positions from there it is done with. */
  readonly partitions: readonly {
    readonly partition: number;
    /** Undefined when an older cursor does not tell. */
    readonly start: number | undefined;
    /** Positions from `start` that were looked at. */
    readonly looked: number;
    /** First position still stored. */
    readonly first: number;
  }[];
}

/** considered = outcomes + held; and considered = what the log has between start and position. */
export function subscriptionFindings(books: SubscriptionBooks): LedgerFinding[] {
  const { tenant, name: subscription, counters, held } = books;
  const { delivered, filtered, expired, deadLettered, dropped, considered } = counters;
  const outcomes = delivered + filtered + expired + deadLettered + dropped + held;
  return [
    {
      tenant,
      subscription,
      check: 'outcomes',
      expected: considered,
      counted: outcomes,
      verdict: considered === outcomes ? 'ok' : 'difference',
      detail:
        'considered = delivered + filtered + expired + dead-lettered + dropped + held; ' +
        'a difference is an event without an outcome, or with two',
    },
    progressFinding(books),
  ];
}

function progressFinding({ tenant, name, counters, partitions }: SubscriptionBooks): LedgerFinding {
  const { considered: counted } = counters;
  const about = { tenant, subscription: name, check: 'progress', counted };
  let expected = 0;
  let gone = 0;
  for (const { start, looked, first } of partitions) {
    if (start === undefined) {
      const detail = 'an older cursor does not tell where the subscription began; seek it to know';
      return { ...about, expected: 0, verdict: 'unknown', detail };
    }
    expected += looked;
    gone += Math.min(looked, Math.max(0, first - start));
  }
  const compared = 'considered = positions of the log between its start and where it stands';
  if (counted === expected) return { ...about, expected, verdict: 'ok', detail: compared };
  if (counted < expected && counted >= expected - gone) {
    const detail = `${compared}; ${expected - counted} may have gone from the store before it came to them`;
    return { ...about, expected, verdict: 'ok', detail };
  }
  const detail =
    counted < expected
      ? `${compared}; positions were passed without being counted: a gap`
      : `${compared}; events were counted twice`;
  return { ...about, expected, verdict: 'difference', detail };
}

export interface TenantBooks {
  readonly tenant: string;
  /** Records that the log has more than when the first of the emeshers came to know it. */
  readonly stored: number;
  /**
   * Receipts that came back to the emeshers for them: of clients, of links, and of what the mesh
   * itself publishes.
   */
  readonly receipts: number;
  /** Emeshers of the site whose receipts these are. */
  readonly emeshers: number;
  /** Whether others have written to the log, whose receipts nobody can tell. */
  readonly others: boolean;
  /** Dead letters ever written, and those that the subscriptions count. */
  readonly lettersWritten: number;
  readonly lettersCounted: number;
}

/** What was accepted and arrived is in the log; what was given up is among the dead letters. */
export function tenantFindings(books: TenantBooks): LedgerFinding[] {
  const { tenant, lettersWritten, lettersCounted } = books;
  const surplus = lettersWritten - lettersCounted;
  return [
    storedFinding(books),
    {
      tenant,
      subscription: '',
      check: 'dead-letters',
      expected: lettersWritten,
      counted: lettersCounted,
      verdict: surplus >= 0 ? 'ok' : 'difference',
      detail:
        surplus < 0
          ? 'subscriptions count dead letters that were never written'
          : surplus === 0
            ? 'dead letters counted by subscriptions = letters ever written'
            : `${surplus} letters are of subscriptions that were deleted or moved, or of late schedules`,
    },
  ];
}

function storedFinding({ tenant, stored, receipts, emeshers, others }: TenantBooks): LedgerFinding {
  const whose = emeshers === 1 ? 'this emesher' : `the first of ${emeshers} emeshers`;
  const verdict =
    receipts === stored ? 'ok' : receipts < stored && others ? 'unknown' : 'difference';
  const meaning =
    receipts === stored
      ? ''
      : receipts > stored
        ? '; a receipt was given for what the log does not have'
        : others
          ? '; emeshers that do not answer, have left or have begun again may have written the rest'
          : '; something was stored whose receipt did not come back';
  return {
    tenant,
    subscription: '',
    check: 'stored',
    expected: stored,
    counted: receipts,
    verdict,
    detail: `receipts since ${whose} started = new records of the log${meaning}`,
  };
}

/** What of the site could not be compared; nothing when all its emeshers have answered. */
export function silenceFindings(
  tenant: string,
  answered: number,
  silent: readonly SilentEmesher[],
): LedgerFinding[] {
  if (silent.length === 0) return [];
  const who = silent.map(({ emesher, reason }) => `${emesher} (${reason})`).join('; ');
  return [
    {
      tenant,
      subscription: '',
      check: 'emeshers',
      expected: answered + silent.length,
      counted: answered,
      verdict: 'unknown',
      detail: `not all emeshers of the site have told their books: ${who}; what runs there is compared by its cursors`,
    },
  ];
}
