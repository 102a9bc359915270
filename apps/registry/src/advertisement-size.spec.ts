import { describe, expect, it } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import { AdvertisementSchema } from '@eventmesh/proto-gen/registry';
import fc from 'fast-check';
import { advertisementBytes } from './advertisement-size.ts';

describe('advertisementBytes', () => {
  it('is never below the encoded length, and close to it for long interest', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 200 });
    const int64 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
    const advertisement = fc.record({
      site: name,
      epoch: int64,
      sequence: int64,
      interestVersion: int64,
      httpAddress: name,
      links: fc.array(fc.record({ toSite: name, cost: fc.nat(2 ** 31 - 1), up: fc.boolean() })),
      interest: fc.array(
        fc.record({ tenant: name, topicFilter: name, deliveryClass: fc.constantFrom(1, 2) }),
      ),
    });
    fc.assert(
      fc.property(advertisement, (given) => {
        const message = create(AdvertisementSchema, given as never);
        const encoded = toBinary(AdvertisementSchema, message).length;
        const entries = given.links.length + given.interest.length;
        expect(advertisementBytes(message)).toBeGreaterThanOrEqual(encoded);
        expect(advertisementBytes(message)).toBeLessThanOrEqual(encoded + 64 + entries * 24);
      }),
    );
  });
});
