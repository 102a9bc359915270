import { describe, expect, it } from '@jest/globals';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { SubscribeRequestSchema, type Settle } from '@eventmesh/proto-gen/subscriber';
import { decodeSettle } from './decode-settle.ts';

const id = fc.oneof(
  fc.bigInt({ min: 1n, max: BigInt(Number.MAX_SAFE_INTEGER) }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const settle = fc.record({
  ids: fc.array(id, { maxLength: 20 }),
  outcome: fc.oneof(fc.nat(7), fc.integer()),
  delayMs: fc.oneof(fc.constant(0n), id),
  reason: fc.constantFrom('', 'bad'),
  cumulative: fc.boolean(),
});
const encoded = (value: object): Buffer =>
  Buffer.from(
    toBinary(
      SubscribeRequestSchema,
      create(SubscribeRequestSchema, { message: { case: 'settle', value: value as Settle } }),
    ),
  );
const generally = (bytes: Buffer) => {
  const { message } = fromBinary(SubscribeRequestSchema, bytes);
  if (message.case !== 'settle') return message.case;
  const { ids, outcome, delayMs, reason, cumulative } = message.value;
  return { ids: ids.map(Number), outcome, delayMs, reason, cumulative };
};

describe('a settle that is read by hand', () => {
  it('is what the generated code reads, or is left to it', () => {
    fc.assert(
      fc.property(settle, (value) => {
        const bytes = encoded(value);
        const read = decodeSettle(bytes);
        if (read !== undefined) expect(read.message.value).toEqual(generally(bytes));
      }),
    );
  });

  it('is the usual one: ids and an outcome', () => {
    const ids = [1n, 2n ** 40n, BigInt(Number.MAX_SAFE_INTEGER)];
    for (const outcome of [1, 2, 3, 4, 5]) {
      const read = decodeSettle(encoded({ ids, outcome }));
      expect(read?.message.value).toMatchObject({ ids: ids.map(Number), outcome });
    }
  });

  it('is what the generated code reads whatever bytes come, of those that both can read', () => {
    const pieces = fc.array(
      fc.oneof(
        fc.constantFrom([0x0a, 2, 5, 6], [0x08, 7], [0x0a, 0], [0x10, 1], [0x28, 1], [0x0a, 9, 1]),
        fc.array(fc.nat(255), { maxLength: 3 }),
      ),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(pieces, fc.nat(1), fc.array(fc.nat(255), { maxLength: 2 }), (all, off, more) => {
        const inner = all.flat();
        const bytes = Buffer.from([0x1a, inner.length + off, ...inner, ...more]);
        const read = decodeSettle(bytes);
        if (read !== undefined) expect(read.message.value).toEqual(generally(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['an id that no number can hold', encoded({ ids: [2n ** 53n], outcome: 1 })],
    ['a reason', encoded({ ids: [1n], outcome: 3, reason: 'bad' })],
    ['ids one by one', Buffer.from([0x1a, 4, 0x08, 7, 0x10, 1])],
    ['another message behind it', Buffer.from([0x1a, 5, 0x0a, 1, 7, 0x10, 1, 0x12, 0])],
    ['credit', Buffer.from([0x12, 2, 0x08, 1])],
    ['no end', Buffer.from([0x1a, 9, 0x0a, 1])],
    ['nothing', Buffer.alloc(0)],
  ])('leaves %s to the general decoder', (_, bytes) => {
    expect(decodeSettle(bytes)).toBeUndefined();
  });
});
