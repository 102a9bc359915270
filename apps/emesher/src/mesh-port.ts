import {
  drainingError,
  type AttachOptions,
  type Attachment,
  type DeadLettersPort,
  type DeliverySink,
  type InspectPort,
  type MeshPort,
  type PublishItem,
  type PublishOptions,
  type Receipt,
  type ReplaysPort,
  type RequestOptions,
  type ScheduledEventsPort,
  type Session,
  type SubscriptionsPort,
} from '@eventmesh/adapter-api';
import { parseAuthorization, type Authorizer } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import type { Attachments } from './deliver/attachments.ts';
import type { Publisher } from './publish/publisher.ts';
import type { Replays } from './replay/replays.ts';
import type { Requests } from './request/requests.ts';
import { CallerSession, callerOf } from './session.ts';

export interface MeshPortParts {
  readonly site: string;
  readonly eventBytesMax: number;
  readonly draining: AbortSignal;
  /** Whether interest, routes and rules are known: before that an event could be misrouted. */
  readonly started: () => boolean;
  readonly authorizer: Authorizer;
  readonly publisher: Publisher;
  readonly attachments: Attachments;
  readonly subscriptions: SubscriptionsPort;
  readonly deadLetters: DeadLettersPort;
  readonly replays: Replays;
  /** Those of all emeshers of the site. */
  readonly siteReplays: ReplaysPort;
  readonly requests: Requests;
  readonly inspect: InspectPort;
  readonly scheduled: ScheduledEventsPort;
}

/** Sessions are kept by what authorised them, so that their topic caches live on between calls. */
class Sessions {
  readonly #byGrants = new WeakMap<object, CallerSession>();

  of(grants: ConstructorParameters<typeof CallerSession>[0]): CallerSession {
    let session = this.#byGrants.get(grants);
    if (session === undefined) {
      session = new CallerSession(grants);
      this.#byGrants.set(grants, session);
    }
    return session;
  }
}

/** The mesh as protocol adapters see it. */
export function createMeshPort(parts: MeshPortParts): MeshPort {
  const { authorizer, publisher, attachments, draining } = parts;
  const sessions = new Sessions();

  const refuseUnlessServing = () => {
    if (!parts.started()) {
      throw new MeshError('Unavailable', 'this emesher is starting; try again in a moment', {
        reason: 'STARTING',
        retryAfterMs: 500,
      });
    }
    if (draining.aborted) throw drainingError();
  };

  return {
    site: parts.site,
    eventBytesMax: parts.eventBytesMax,
    draining,
    subscriptions: parts.subscriptions,
    deadLetters: parts.deadLetters,
    replays: parts.siteReplays,
    inspect: parts.inspect,
    scheduled: parts.scheduled,

    async authenticate(authorization: string | undefined): Promise<Session> {
      return sessions.of(await authorizer.authenticate(parseAuthorization(authorization)));
    },

    // Async, as `attach` is, so that a refusal is an answer like any other and never thrown at the call.
    async publish(
      session: Session,
      items: readonly PublishItem[],
      options: PublishOptions = {},
    ): Promise<readonly (Receipt | MeshError)[]> {
      refuseUnlessServing();
      return publisher.publish(callerOf(session), items, options);
    },

    async request(session: Session, item: PublishItem, options: RequestOptions) {
      refuseUnlessServing();
      return parts.requests.request(callerOf(session), item, options);
    },

    async attach(
      session: Session,
      options: AttachOptions,
      sink: DeliverySink,
    ): Promise<Attachment> {
      refuseUnlessServing();
      const caller = callerOf(session);
      if (options.replay !== undefined) return parts.replays.open(caller, options, sink);
      return attachments.attach(caller, options, sink);
    },
  };
}
