import { crc32 } from 'node:zlib';
import { MeshError } from '@eventmesh/errors';

/*
 * Small values as the plugins keep them: `<CRC-32 as 8 hex digits> <JSON>`, so that an operator can
 * read them and a flipped bit is not taken for another number.
 */
const HEAD = 9;

export function seal(value: unknown): Buffer {
  const text = JSON.stringify(value);
  return Buffer.from(`${crc32(text).toString(16).padStart(8, '0')} ${text}`);
}

/**
 * @param what names the value for people
 * @throws MeshError DataLoss when it is not what was sealed.
 */
export function unseal<T>(bytes: Uint8Array, what: string): T {
  const text = Buffer.from(bytes).toString();
  const json = text.slice(HEAD);
  if (text.slice(0, HEAD) === `${crc32(json).toString(16).padStart(8, '0')} `) {
    return JSON.parse(json) as T;
  }
  throw new MeshError(
    'DataLoss',
    `${what} is damaged; restore the storage from a backup, nothing is repaired by itself`,
    { reason: 'VALUE_DAMAGED' },
  );
}
