import { describe, expect, it } from '@jest/globals';
import { StreamDecoder } from '@grpc/grpc-js/build/src/stream-decoder.js';
import fc from 'fast-check';
import { watchUnfinished } from './grpc-inside.ts';

const BYTES_MAX = 1024 * 1024;

function watched() {
  const decoder = new StreamDecoder(BYTES_MAX);
  const told: number[] = [];
  const drop = watchUnfinished({ stream: {}, wantTrailers: false, decoder }, (bytes) =>
    told.push(bytes),
  );
  const pieces = () => Reflect.get(decoder, 'readPartialMessage') as readonly Buffer[];
  return { decoder, told, drop, pieces };
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

describe('a message that comes in pieces', () => {
  it('takes little more than its bytes, however small they are and whatever came beside them', () => {
    const { decoder, told, pieces } = watched();
    decoder.write(framed(Buffer.alloc(BYTES_MAX)).subarray(0, 5));
    for (let byte = 0; byte < 100_000; byte++) {
      // The server reads much at a time; this is the part that is of the message.
      const read = Buffer.allocUnsafeSlow(64);
      decoder.write(read.subarray(0, 1));
    }
    expect(told.at(-1)).toBe(100_000);
    expect(pieces().length).toBeLessThan(32);
    const kept = new Set(pieces().map(({ buffer }) => buffer));
    expect([...kept].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(400_000);
  });

  it('is the same however it is cut', () => {
    const message = fc.uint8Array({ maxLength: 40_000 }).map((bytes) => Buffer.from(bytes));
    const cuts = fc.array(
      fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 20_000 })),
      {
        minLength: 1,
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), cuts, (messages, sizes) => {
        const { decoder, told } = watched();
        const all = Buffer.concat(messages.map(framed));
        const got: Buffer[] = [];
        for (let at = 0, cut = 0; at < all.length; cut++) {
          const size = sizes[cut % sizes.length] ?? 1;
          got.push(...decoder.write(all.subarray(at, at + size)));
          at += size;
        }
        expect(got.map((each) => each.subarray(5))).toEqual(messages);
        expect(told.at(-1) ?? 0).toBe(0);
      }),
    );
  });
});
