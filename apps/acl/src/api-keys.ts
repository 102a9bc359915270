import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@eventmesh/kv-api';
import { isPast } from './changes.ts';
import type { Directory } from './directory.ts';
import type { KeyRecord } from './records.ts';

// A key that no secret hashes to in practice, so that unknown ids take the same path.
const NO_HASH = Buffer.alloc(32);

/** The live API key of this text (`em_<id>_<secret>`), or undefined without saying why not. */
export function verifyApiKey(
  directory: Directory,
  clock: Clock,
  text: string,
): KeyRecord | undefined {
  const [, id = '', secret = ''] = /^em_([0-9a-f]{16})_([\w-]{43})$/.exec(text) ?? [];
  const key = directory.key(id);
  const stored = key === undefined ? NO_HASH : Buffer.from(key.secretHash, 'hex');
  const given = createHash('sha256').update(secret).digest();
  const matches = stored.length === given.length && timingSafeEqual(stored, given);
  if (!matches || key === undefined || isPast(key.expiresMs, clock.now())) return undefined;
  return key;
}
