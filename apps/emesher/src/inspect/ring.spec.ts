import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Ring } from './ring.ts';

const columns = (rows: number) => ({ a: new Float64Array(rows), b: new Uint32Array(rows) });

describe('a ring of numbers', () => {
  it('has the newest rows in order, as it grows and wraps', () => {
    const step = fc.record({ push: fc.nat(400), drop: fc.nat(300) });
    fc.assert(
      fc.property(fc.constantFrom(1, 300, 1000), fc.array(step, { maxLength: 12 }), (max, all) => {
        const ring = new Ring(max, columns);
        let model: number[] = [];
        let next = 1;
        for (const { push, drop } of all) {
          for (let i = 0; i < push; i++) {
            const slot = ring.push();
            ring.columns.a[slot] = next / 2;
            ring.columns.b[slot] = next;
            model.push(next++);
          }
          model = model.slice(-max);
          const gone = Math.min(drop, model.length);
          for (let i = 0; i < gone; i++) ring.drop();
          model = model.slice(gone);
          const rows = Array.from({ length: ring.count }, (_, row) => ring.slot(row));
          expect(rows.map((slot) => ring.columns.b[slot])).toEqual(model);
          expect(rows.map((slot) => ring.columns.a[slot])).toEqual(model.map((n) => n / 2));
        }
      }),
    );
  });
});
