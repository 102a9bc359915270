import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { AcknowledgementSchema } from '@eventmesh/proto-gen/registry';
import fc from 'fast-check';
import { includes, mergeAcknowledgements } from './versions.ts';

const ack = (ofSite: string, epoch: number, interestVersion: number) =>
  create(AcknowledgementSchema, {
    site: 'west',
    ofSite,
    epoch: BigInt(epoch),
    interestVersion: BigInt(interestVersion),
  });

describe('acknowledgements', () => {
  it.each([
    [1, 5, 1, 5, true],
    [1, 5, 1, 6, false],
    [2, 1, 1, 9, true],
    [1, 9, 2, 1, false],
  ])('epoch %i version %i includes epoch %i version %i: %s', (e, v, we, wv, expected) => {
    expect(includes(ack('x', e, v), ack('x', we, wv))).toBe(expected);
  });

  it('nothing includes nothing', () => {
    expect(includes(undefined, ack('x', 0, 0))).toBe(false);
  });

  it('merge to the same whatever their order, and say when they add nothing', () => {
    const some = fc.array(
      fc.tuple(fc.constantFrom('x', 'y'), fc.nat(3), fc.nat(3)).map((args) => ack(...args)),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(some, some, (one, other) => {
        const a = mergeAcknowledgements(
          'west',
          mergeAcknowledgements('west', undefined, one),
          other,
        );
        const b = mergeAcknowledgements('west', undefined, [...other, ...one]);
        const whole = a ?? mergeAcknowledgements('west', undefined, one);
        expect(whole).toEqual(b);
        expect(mergeAcknowledgements('west', b, [...one, ...other])).toBeUndefined();
      }),
    );
  });
});
