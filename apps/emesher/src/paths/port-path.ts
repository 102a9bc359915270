import type {
  DeadLettersPort,
  InspectPort,
  MeshPort,
  ScheduledEventsPort,
} from '@eventmesh/adapter-api';
import { auditRefusals } from '../audit-refusals.ts';
import type { Attachments } from '../deliver/attachments.ts';
import type { SubscriptionAdmin } from '../deliver/subscription-admin.ts';
import { createMeshPort } from '../mesh-port.ts';
import { siteReplays } from '../peer/site-replays.ts';
import { protocolPort } from '../protocol-port.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { Replays } from '../replay/replays.ts';
import type { Requests } from '../request/requests.ts';
import type { Base } from './foundation.ts';

interface PortParts {
  readonly publisher: Publisher;
  readonly requests: Requests;
  readonly attachments: Attachments;
  readonly admin: SubscriptionAdmin;
  readonly dead: { readonly port: DeadLettersPort };
  readonly replays: Replays;
  readonly scheduled: ScheduledEventsPort;
  readonly inspection: { readonly port: InspectPort };
  /** Whether interest, routes and rules are known. */
  readonly started: () => boolean;
  readonly draining: AbortSignal;
}

/**
 * Adapter → the paths: the mesh as the adapter of a protocol sees it, by the name of that, under
 * which what it accepts is counted.
 */
export function portPath(
  { options, deps, peers, served }: Base,
  parts: PortParts,
): (protocol: string) => MeshPort {
  const { publisher, requests, attachments, admin, dead, replays, scheduled, inspection } = parts;
  const { authorizer, policies, metrics, log: logger } = deps;
  const port = createMeshPort({
    site: options.site,
    eventBytesMax: options.dataPlane.event.bytesMax,
    draining: parts.draining,
    started: parts.started,
    authorizer,
    publisher,
    attachments,
    subscriptions: admin,
    deadLetters: dead.port,
    replays,
    siteReplays: siteReplays({ replays, peers, logger }),
    requests,
    scheduled,
    inspect: inspection.port,
  });
  const audited = auditRefusals(port, policies.audit);
  return (protocol) => protocolPort(audited, protocol, metrics, served);
}
