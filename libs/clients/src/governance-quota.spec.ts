import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import { QuotaSchema, type Quota } from '@eventmesh/proto-gen/governance';
import { QuotaBook } from './governance-quota.ts';

const quota = (more: MessageInitShape<typeof QuotaSchema>) =>
  create(QuotaSchema, { tenant: 't', ...more });

function book(...quotas: Quota[]) {
  let nowMs = 0;
  const made = new QuotaBook(() => nowMs);
  made.reset(quotas);
  return { book: made, pass: (ms: number) => void (nowMs += ms) };
}

describe('QuotaBook', () => {
  it('lets everything through where there is no quota', () => {
    const { book: quotas } = book(quota({ tenant: 'other', eventsPerSecond: 1n }));
    expect(quotas.handle('t', 'ann').take(1e9, 1e12)).toBe(0);
  });

  it('lets a second of events through at once, then says how long to wait', () => {
    const { book: quotas, pass } = book(quota({ eventsPerSecond: 10n }));
    const handle = quotas.handle('t', 'ann');
    for (let n = 0; n < 10; n++) expect(handle.take(1, 1)).toBe(0);
    expect(handle.take(1, 1)).toBe(100);
    pass(99);
    expect(handle.take(1, 1)).toBe(1);
    pass(1);
    expect(handle.take(1, 1)).toBe(0);
  });

  it('holds the tenant over all its principals, and each principal by itself', () => {
    const { book: quotas } = book(
      quota({ eventsPerSecond: 10n }),
      quota({ principal: 'ann', eventsPerSecond: 3n }),
    );
    const [ann, bob] = [quotas.handle('t', 'ann'), quotas.handle('t', 'bob')];
    expect(ann.take(3, 0)).toBe(0);
    expect(ann.take(1, 0)).toBeGreaterThan(0);
    expect(bob.take(7, 0)).toBe(0);
    expect(bob.take(1, 0)).toBeGreaterThan(0);
  });

  it('tells the rates that hold: of each kind the smaller one', () => {
    const { book: quotas } = book(
      quota({ eventsPerSecond: 10n, bytesPerSecond: 500n }),
      quota({ principal: 'ann', eventsPerSecond: 3n }),
    );
    expect(quotas.handle('t', 'ann').rates).toBe('3 events a second, 500 bytes a second');
    expect(quotas.handle('t', 'bob').rates).toBe('10 events a second, 500 bytes a second');
    expect(quotas.handle('other', 'ann').rates).toBe('');
  });

  it('takes nothing when one of the limits refuses', () => {
    const { book: quotas } = book(quota({ eventsPerSecond: 10n, bytesPerSecond: 5n }));
    const handle = quotas.handle('t', 'ann');
    expect(handle.take(1, 5)).toBe(0);
    expect(handle.take(1, 5)).toBe(1000);
    expect(handle.take(9, 0)).toBe(0);
  });

  it('lets a batch beyond a second through when full, and has it paid off', () => {
    const { book: quotas, pass } = book(quota({ eventsPerSecond: 10n }));
    const handle = quotas.handle('t', 'ann');
    expect(handle.take(30, 0)).toBe(0);
    expect(handle.take(1, 0)).toBe(2100);
    pass(2100);
    expect(handle.take(1, 0)).toBe(0);
  });

  it('follows changes; an unchanged rate keeps what was used', () => {
    const { book: quotas } = book(quota({ eventsPerSecond: 2n, eventBytesMax: 100n }));
    const handle = quotas.handle('t', 'ann');
    expect(handle.take(2, 0)).toBe(0);
    quotas.set(quota({ eventsPerSecond: 2n, eventBytesMax: 50n, subscriptionsMax: 4n }));
    expect(handle.take(1, 0)).toBeGreaterThan(0);
    expect(handle.eventBytesMax).toBe(50);
    expect(handle.subscriptionsMax).toEqual({ ofTenant: 4, ofPrincipal: 0 });
    quotas.set(quota({ principal: 'ann', eventBytesMax: 10n, subscriptionsMax: 9n }));
    expect(handle.eventBytesMax).toBe(10);
    expect(handle.subscriptionsMax).toEqual({ ofTenant: 4, ofPrincipal: 9 });
    expect(quotas.handle('t', '').subscriptionsMax).toEqual({ ofTenant: 4, ofPrincipal: 0 });
    quotas.reset([]);
    expect(handle.take(100, 0)).toBe(0);
    expect(handle.eventBytesMax).toBe(0);
  });

  it('is not emptied by a clock that goes back', () => {
    const { book: quotas, pass } = book(quota({ eventsPerSecond: 1n }));
    const handle = quotas.handle('t', 'ann');
    pass(-3_600_000);
    expect(handle.take(1, 0)).toBe(0);
    pass(1000);
    expect(handle.take(1, 0)).toBe(0);
  });
});
