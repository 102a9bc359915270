import { randomBytes } from 'node:crypto';
import type { PublishItem } from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';

/** Where replies to one request go: a topic `$inbox/<site>/<member>/<token>`. */
export interface InboxAddress {
  readonly site: string;
  /** The emesher of that site at which the requester waits. */
  readonly member: string;
  /** Whoever knows it may answer; nobody can guess it. */
  readonly token: string;
}

const ROOT = '$inbox/';
const TOKEN = /^[A-Za-z0-9_-]{22}$/;

/** 128 random bits. */
export const newToken = (): string => randomBytes(16).toString('base64url');

export const isInboxTopic = (topic: string): boolean => topic.startsWith(ROOT);

/** Whether the requester of an inbox waits at this emesher of the inbox's site. */
export const isInboxOf = (topic: string, member: string): boolean =>
  topic.split('/')[2] === encodeURIComponent(member);

export function inboxTopic({ site, member, token }: InboxAddress): string {
  // Names of members are chosen by whoever deploys; a level must stay one level.
  return `${ROOT}${encodeURIComponent(site)}/${encodeURIComponent(member)}/${token}`;
}

/** Undefined for anything but a whole address. */
export function readInboxTopic(topic: string): InboxAddress | undefined {
  if (!isInboxTopic(topic)) return undefined;
  const [site, member, token, ...more] = topic.slice(ROOT.length).split('/');
  if (token === undefined || !TOKEN.test(token) || more.length > 0) return undefined;
  try {
    return {
      site: decodeURIComponent(site ?? ''),
      member: decodeURIComponent(member ?? ''),
      token,
    };
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** @throws MeshError InvalidArgument (`topic`) for anything but a whole address. */
export function parseInboxTopic(topic: string): InboxAddress {
  const address = readInboxTopic(topic);
  if (address !== undefined) return address;
  throw invalid(
    'topic',
    'is not the whole address of an inbox; use the replyto of a request as it is',
  );
}

/**
 * The delivery class of what is published to an inbox: always direct, for an inbox stores nothing.
 * Undefined for other topics.
 *
 * @throws MeshError InvalidArgument when durable is asked for.
 */
export function inboxClass({ topic, deliveryClass }: PublishItem): 'direct' | undefined {
  if (!isInboxTopic(topic)) return undefined;
  if (deliveryClass !== 'durable') return 'direct';
  throw invalid('deliveryClass', 'is durable; a reply goes to an inbox, which is direct only');
}
