import { Principal_Kind as Kind } from '@eventmesh/proto-gen/acl';

/** What a kind of principal is called; with the name that makes `KIND:NAME`. */
interface Words {
  /** By sessions, and by what is kept of an owner or a publisher: `api-key:shop`. */
  readonly principal: 'user' | 'api-key' | 'token' | 'service';
  /** By policies and the audit, as their subject: `key:shop`. */
  readonly subject: 'user' | 'key' | 'token' | 'service';
}

export type PrincipalWord = Words['principal'];
export type SubjectWord = Words['subject'];

const WORDS: ReadonlyMap<Kind, Words> = new Map<Kind, Words>([
  [Kind.USER, { principal: 'user', subject: 'user' }],
  [Kind.API_KEY, { principal: 'api-key', subject: 'key' }],
  [Kind.TOKEN, { principal: 'token', subject: 'token' }],
  [Kind.SERVICE, { principal: 'service', subject: 'service' }],
]);

const KINDS: ReadonlyMap<string, Kind> = new Map(
  [...WORDS].map(([kind, { principal }]) => [principal, kind]),
);

/** The kind of what is kept as `KIND:NAME`; a user for a word that is not known here. */
export const principalKind = (word: string): Kind => KINDS.get(word) ?? Kind.USER;

/** The word that is kept of a kind; a user's for one that is not known here. */
export const principalWord = (kind: Kind): PrincipalWord => WORDS.get(kind)?.principal ?? 'user';

/** The word of policies and the audit; undefined for a kind that is not known here. */
export const subjectWord = (kind: Kind): SubjectWord | undefined => WORDS.get(kind)?.subject;
