import { describe, expect, it } from '@jest/globals';
import { Principal_Kind as Kind } from '@eventmesh/proto-gen/acl';
import { principalKind, principalWord, subjectWord } from './principal-kind.ts';

const ROWS = [
  [Kind.USER, 'user', 'user'],
  [Kind.API_KEY, 'api-key', 'key'],
  [Kind.TOKEN, 'token', 'token'],
  [Kind.SERVICE, 'service', 'service'],
] as const;

describe('a kind of principal', () => {
  it.each(ROWS)('%d is kept as %s and is %s to policies', (kind, word, subject) => {
    expect(principalWord(kind)).toBe(word);
    expect(principalKind(word)).toBe(kind);
    expect(subjectWord(kind)).toBe(subject);
  });

  it('has words, whichever the protocol knows', () => {
    const kinds = Object.values(Kind).filter((kind) => typeof kind === 'number');
    const known = ROWS.map(([kind]) => kind);
    expect(kinds.filter((kind) => kind !== Kind.UNSPECIFIED)).toEqual(known);
  });

  it.each(['', 'key', 'User', 'constructor'])('"%s" is kept of nobody, and a user', (word) => {
    expect(principalKind(word)).toBe(Kind.USER);
  });

  it('that nobody has said is kept as a user, and is no subject', () => {
    expect(principalWord(Kind.UNSPECIFIED)).toBe('user');
    expect(subjectWord(Kind.UNSPECIFIED)).toBeUndefined();
  });
});
