import { describe, expect, it } from '@jest/globals';
import { Consumer } from './consumers.ts';
import { Entry } from './entry.ts';
import { Leases } from './leases.ts';
import { PartitionProgress } from './progress.ts';
import { recordOf } from './test/rig.ts';

const SPAN = 2 ** 32;
const progress = new PartitionProgress(0, 1);
const record = recordOf({ key: '', ingressMs: 0, expiryMs: 0 });
const consumer = new Consumer('c');
const entry = (position: number) => new Entry(progress, position, record, 0);

describe('delivery ids', () => {
  it('carry the epoch, and only those given out in it were issued', () => {
    const leases = new Leases(7, 1000);
    const { id } = leases.begin(entry(1), consumer, 0);
    expect(Math.floor(id / SPAN)).toBe(7);
    expect(leases.issued(id)).toBe(true);
    for (const other of [id - SPAN, id + SPAN, id + 1, 0, -1]) {
      expect(leases.issued(other)).toBe(false);
    }
  });

  it('are in order also where the sequence begins anew', () => {
    const leases = new Leases(7, 1000);
    const last = 7 * SPAN + SPAN - 1;
    const first = 7 * SPAN;
    expect(leases.notAfter(last, first)).toBe(true);
    expect(leases.notAfter(first, last)).toBe(false);
    expect(leases.notAfter(first, first)).toBe(true);
  });

  it('are safe integers for every epoch', () => {
    const leases = new Leases(Number.MAX_SAFE_INTEGER, 1000);
    expect(Number.isSafeInteger(leases.begin(entry(1), consumer, 0).id)).toBe(true);
  });
});

describe('leases', () => {
  it('run out in the order in which they were begun or renewed', () => {
    const leases = new Leases(1, 1000);
    const a = leases.begin(entry(1), consumer, 0);
    const b = leases.begin(entry(2), consumer, 10);
    expect([leases.first, leases.first?.endMs]).toEqual([a, 1000]);
    leases.renew(a, 20);
    expect([leases.first, leases.first?.endMs]).toEqual([b, 1010]);
    leases.end(b);
    expect([leases.first, leases.find(b.id), leases.size]).toEqual([a, undefined, 1]);
  });
});
