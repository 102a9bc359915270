import { NO_HANDLING } from '@eventmesh/event';
import type { ResolvedTopic } from '../publish/resolve.ts';
import { TopicEncoders } from '../publish/topic-encoders.ts';
import type { CallerSession } from '../session.ts';
import { parseInboxTopic } from './inbox-address.ts';

/**
 * The address of an inbox as a topic to publish to. Whoever knows the whole address may answer, as
 * long as its credential holds; the reply goes to the address's site, by the direct class.
 *
 * @throws MeshError InvalidArgument for a part of an address; Unauthenticated; Unavailable.
 */
export function resolveInbox(
  session: CallerSession,
  topic: string,
  site: string,
  reachable: (site: string) => boolean,
): ResolvedTopic {
  const address = parseInboxTopic(topic);
  // Never allowed by a grant, but it throws for a credential that no longer holds.
  session.grants.canPublish(topic);
  const { tenant, name } = session.principal;
  const elsewhere = address.site !== site && reachable(address.site);
  const destinations = elsewhere ? [address.site] : [];
  return {
    topic,
    allowed: true,
    policy: undefined,
    destinations: [],
    directDestinations: destinations,
    // One for each address would be as many as there are requests.
    count: { topic, events: 0, lastTimeMs: 0 },
    wanted: { durable: false, direct: true },
    handling: NO_HANDLING,
    encoders: new TopicEncoders(
      { tenant, topic, principal: name, originSite: site },
      { durable: [], direct: destinations },
    ),
    version: '',
  };
}
