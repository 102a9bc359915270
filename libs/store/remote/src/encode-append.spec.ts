import { describe, expect, it } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { AppendRequestSchema } from '@eventmesh/proto-gen/store';
import type { AppendBatch } from '@eventmesh/store-api';
import { encodeAppend } from './encode-append.ts';

const record = fc.record(
  { bytes: fc.uint8Array({ maxLength: 200 }), dedupKey: fc.string({ unit: 'grapheme' }) },
  { requiredKeys: ['bytes'] },
);
const records = fc.array(record, { minLength: 1, maxLength: 6 });
const count = fc.nat();

describe('a frame of appends', () => {
  it('reads as the message that it stands for, keys parallel to records', () => {
    fc.assert(
      fc.property(fc.array(records, { minLength: 1, maxLength: 3 }), count, (lists, partition) => {
        const batches = lists.map((each): AppendBatch => ({ log: 'l', partition, records: each }));
        const read = fromBinary(AppendRequestSchema, encodeAppend(7n, batches).bytes);
        const all = lists.flat();
        expect([read.requestId, read.log, read.partition]).toEqual([7n, 'l', partition]);
        expect(read.records.map((bytes) => Buffer.from(bytes))).toEqual(
          all.map(({ bytes }) => Buffer.from(bytes)),
        );
        const keyed = all.some(({ dedupKey }) => dedupKey !== undefined);
        expect(read.dedupKeys).toEqual(keyed ? all.map(({ dedupKey = '' }) => dedupKey) : []);
      }),
    );
  });

  it('says which chain or session numbers the records', () => {
    const one = { log: 'l', partition: 0, records: [{ bytes: Buffer.from('a') }] };
    const read = (batches: AppendBatch[]) =>
      fromBinary(AppendRequestSchema, encodeAppend(1n, batches).bytes);
    expect(read([{ ...one, producer: { id: 'p', previous: 3, last: 5 } }]).producer).toMatchObject({
      id: 'p',
      previous: 3n,
      last: 5n,
    });
    const session = (sequence: number) => ({ id: 's', epoch: 2, sequences: [sequence] });
    expect(
      read([
        { ...one, session: session(4) },
        { ...one, session: session(6) },
      ]).session,
    ).toMatchObject({ id: 's', epoch: 2n, sequences: [4n, 6n] });
  });
});
