import { describe, expect, it } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { Settle_Outcome, SubscribeRequestSchema } from '@eventmesh/proto-gen/subscriber';
import { encodeAccept } from './encode-accept.ts';

const id = fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) });

describe('the settle that accepts deliveries', () => {
  it('decodes by the generated code to the ids, accepted', () => {
    fc.assert(
      fc.property(fc.array(id, { minLength: 1, maxLength: 300 }), (ids) => {
        const encoded = encodeAccept(ids);
        const { message } = fromBinary(SubscribeRequestSchema, encoded?.bytes ?? new Uint8Array());
        expect(message.case).toBe('settle');
        expect(message.value).toMatchObject({
          ids,
          outcome: Settle_Outcome.ACCEPT,
          delayMs: 0n,
          reason: '',
          cumulative: false,
        });
      }),
    );
  });

  it.each([2n ** 53n, -1n, 2n ** 63n - 1n])(
    'is left to the general encoder with the id %d',
    (odd) => {
      expect(encodeAccept([1n, odd])).toBeUndefined();
    },
  );
});
