import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { WireReader, varintLength, writeVarint } from './index.ts';

/** As the specification says it: seven bits a byte, the lowest first. */
function plain(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

const EDGES = [7, 14, 21, 28, 31, 32, 35, 42, 49, 52].flatMap((bits) =>
  [-1, 0, 1].map((off) => 2 ** bits + off),
);
const number = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(),
  fc.constantFrom(0, ...EDGES, Number.MAX_SAFE_INTEGER),
);

describe('varints', () => {
  it('are written as protobuf does, as long as was said, and read again', () => {
    fc.assert(
      fc.property(number, (value) => {
        const out = Buffer.alloc(12);
        const end = writeVarint(out, 1, value);
        expect([...out.subarray(1, end)]).toEqual(plain(value));
        expect(varintLength(value)).toBe(end - 1);
        expect(new WireReader(out, 1, end).varint()).toBe(value);
      }),
      { examples: [0, ...EDGES, Number.MAX_SAFE_INTEGER].map((value) => [value]) },
    );
  });
});
