import type { Quota } from '@eventmesh/proto-gen/governance';

/** The limits of one caller: its tenant's and its own, all of which hold. */
export interface QuotaHandle {
  /**
   * Takes the events and bytes of a publish out of the rates. Answers 0 when they were taken, else
   * after how many ms to try again; nothing was taken then. A batch larger than a second's worth
   * is let through when a whole second's worth is there, and paid off before the next.
   */
  take(events: number, bytes: number): number;
  /** The rates that hold, for people: `10 events a second, 4096 bytes a second`; empty for none. */
  readonly rates: string;
  /** Largest event in bytes; 0 for unlimited. */
  readonly eventBytesMax: number;
  /** Most subscriptions of all its tenant's principals, and of its own; 0 for unlimited. */
  readonly subscriptionsMax: { readonly ofTenant: number; readonly ofPrincipal: number };
}

interface Limits {
  readonly events: TokenBucket | undefined;
  readonly bytes: TokenBucket | undefined;
  readonly eventBytesMax: number;
  readonly subscriptionsMax: number;
}

/** Keeps the limits and their buckets; there are as many as there are quotas. */
export class QuotaBook {
  readonly #limits = new Map<string, Limits>();
  readonly #now: () => number;

  /** @param now milliseconds; only differences count. */
  constructor(now: () => number) {
    this.#now = now;
  }

  set(quota: Quota): void {
    const key = keyOf(quota.tenant, quota.principal);
    const before = this.#limits.get(key);
    this.#limits.set(key, {
      events: this.#bucket(before?.events, Number(quota.eventsPerSecond)),
      bytes: this.#bucket(before?.bytes, Number(quota.bytesPerSecond)),
      eventBytesMax: Number(quota.eventBytesMax),
      subscriptionsMax: Number(quota.subscriptionsMax),
    });
  }

  delete(quota: Quota): void {
    this.#limits.delete(keyOf(quota.tenant, quota.principal));
  }

  /** Replaces all; buckets of quotas that stay keep what is in them. */
  reset(quotas: readonly Quota[]): void {
    const kept = new Set(quotas.map(({ tenant, principal }) => keyOf(tenant, principal)));
    for (const key of this.#limits.keys()) if (!kept.has(key)) this.#limits.delete(key);
    for (const quota of quotas) this.set(quota);
  }

  /** Follows the quotas as they change; may be held for as long as one likes. */
  handle(tenant: string, principal: string): QuotaHandle {
    const limits = this.#limits;
    const [ofTenant, ofPrincipal] = [keyOf(tenant, ''), keyOf(tenant, principal)];
    const rate = (of: 'events' | 'bytes'): string[] => {
      const rates = [limits.get(ofTenant), limits.get(ofPrincipal)].flatMap(
        (each) => each?.[of]?.perSecond ?? [],
      );
      return rates.length === 0 ? [] : [`${Math.min(...rates)} ${of} a second`];
    };
    return {
      get rates() {
        return [...rate('events'), ...rate('bytes')].join(', ');
      },
      take: (events, bytes) => {
        const a = limits.get(ofTenant);
        const b = principal === '' ? undefined : limits.get(ofPrincipal);
        if (a === undefined && b === undefined) return 0;
        const nowMs = this.#now();
        const waitMs = Math.max(
          a?.events?.waitMs(events, nowMs) ?? 0,
          a?.bytes?.waitMs(bytes, nowMs) ?? 0,
          b?.events?.waitMs(events, nowMs) ?? 0,
          b?.bytes?.waitMs(bytes, nowMs) ?? 0,
        );
        // Sums of fractions must not make a millisecond of a millionth of one.
        if (waitMs > 0) return Math.max(1, Math.ceil(waitMs - 1e-6));
        a?.events?.take(events);
        a?.bytes?.take(bytes);
        b?.events?.take(events);
        b?.bytes?.take(bytes);
        return 0;
      },
      get eventBytesMax() {
        const a = limits.get(ofTenant)?.eventBytesMax ?? 0;
        const b = limits.get(ofPrincipal)?.eventBytesMax ?? 0;
        return a === 0 || b === 0 ? a + b : Math.min(a, b);
      },
      get subscriptionsMax() {
        return {
          ofTenant: limits.get(ofTenant)?.subscriptionsMax ?? 0,
          ofPrincipal: principal === '' ? 0 : (limits.get(ofPrincipal)?.subscriptionsMax ?? 0),
        };
      },
    };
  }

  #bucket(before: TokenBucket | undefined, perSecond: number): TokenBucket | undefined {
    if (perSecond <= 0) return undefined;
    return before?.perSecond === perSecond ? before : new TokenBucket(perSecond, this.#now());
  }
}

// Tenants have no NUL; see the names of the acl.
const keyOf = (tenant: string, principal: string): string => `${tenant}\0${principal}`;

/** Holds at most a second's worth; may owe what one large batch took beyond it. */
class TokenBucket {
  readonly perSecond: number;
  #tokens: number;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.perSecond = perSecond;
    this.#tokens = perSecond;
    this.#atMs = nowMs;
  }

  waitMs(count: number, nowMs: number): number {
    // A clock that was set back must not take tokens away.
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#tokens = Math.min(this.perSecond, this.#tokens + (passedMs * this.perSecond) / 1000);
    this.#atMs = nowMs;
    const missing = Math.min(count, this.perSecond) - this.#tokens;
    // Sums of fractions may miss a whole token by less than anybody can wait.
    return missing > 1e-6 ? (missing / this.perSecond) * 1000 : 0;
  }

  take(count: number): void {
    this.#tokens -= count;
  }
}
