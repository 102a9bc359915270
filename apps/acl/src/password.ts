import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { MeshError, invalid } from '@eventmesh/errors';

/** Cost of a hash; memory is 128 · 2^costLog2 · blockSize bytes, time grows with all three. */
export interface ScryptCost {
  readonly costLog2: number;
  readonly blockSize: number;
  readonly parallel: number;
}

export const PASSWORD_BYTES_MIN = 8;
export const PASSWORD_BYTES_MAX = 1024;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** @throws MeshError InvalidArgument naming the bound; never repeats the password. */
export function checkPassword(password: string, field: string): string {
  const bytes = Buffer.byteLength(password);
  if (bytes < PASSWORD_BYTES_MIN || bytes > PASSWORD_BYTES_MAX) {
    throw invalid(field, `must have ${PASSWORD_BYTES_MIN} to ${PASSWORD_BYTES_MAX} bytes`, {
      limit: `${PASSWORD_BYTES_MIN} to ${PASSWORD_BYTES_MAX} bytes`,
    });
  }
  return password;
}

/** `scrypt$costLog2$blockSize$parallel$salt$hash`: each hash carries what it was made with. */
export async function hashPassword(password: string, cost: ScryptCost): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, cost);
  const { costLog2, blockSize, parallel } = cost;
  const parts = [costLog2, blockSize, parallel, salt.toString('base64'), hash.toString('base64')];
  return `scrypt$${parts.join('$')}`;
}

/** Compares in constant time. @throws MeshError DataLoss when the stored hash is malformed. */
export async function passwordMatches(password: string, stored: string): Promise<boolean> {
  const { cost, salt, hash } = parse(stored);
  return timingSafeEqual(await derive(password, salt, cost), hash);
}

const STORED = /^scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([\w+/=]+)\$([\w+/=]+)$/;

function parse(stored: string): { cost: ScryptCost; salt: Buffer; hash: Buffer } {
  const [, costLog2, blockSize, parallel, salt = '', hash = ''] = STORED.exec(stored) ?? [];
  const bytes = Buffer.from(hash, 'base64');
  if (costLog2 === undefined || bytes.length !== HASH_BYTES) {
    throw new MeshError('DataLoss', 'a stored password hash is malformed; set the password anew');
  }
  return {
    cost: { costLog2: +costLog2, blockSize: Number(blockSize), parallel: Number(parallel) },
    salt: Buffer.from(salt, 'base64'),
    hash: bytes,
  };
}

function derive(password: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
  const N = 2 ** cost.costLog2;
  const options = {
    N,
    r: cost.blockSize,
    p: cost.parallel,
    // Node refuses at 32 MiB by default; this is what the parameters need, and a little.
    maxmem: 128 * N * cost.blockSize + 128 * cost.blockSize * cost.parallel + 1024 * 1024,
  };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, options, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}
