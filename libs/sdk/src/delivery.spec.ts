import { describe, expect, it } from '@jest/globals';
import { Settle_Outcome } from '@eventmesh/proto-gen/subscriber';
import { delivered } from './delivery.ts';

describe('a delivery', () => {
  it('can be taken apart and still be settled', () => {
    const settled: unknown[] = [];
    const wire = {
      id: 7n,
      attempt: 1,
      topic: 'a/b',
      event: Buffer.alloc(0),
      partition: 0,
      position: 1,
      originSite: 'west',
      ingressTimeUs: 1,
    };
    const delivery = delivered(wire, {
      accept: (id) => settled.push(['accept', id]),
      settle: (...settle) => settled.push(settle),
    });
    const { event: _event, accept, ...rest } = delivery;
    accept();
    rest.release(500);
    rest.reject('no');
    rest.renew();
    expect(settled).toEqual([
      ['accept', 7n],
      [7n, Settle_Outcome.RELEASE, 500],
      [7n, Settle_Outcome.REJECT, 0, 'no'],
      [7n, Settle_Outcome.RENEW],
    ]);
  });
});
