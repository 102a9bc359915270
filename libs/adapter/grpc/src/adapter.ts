import type { MeshPort } from '@eventmesh/adapter-api';
import { DeadLetterService } from '@eventmesh/proto-gen/deadletter';
import { PublisherService, ScheduledEventService } from '@eventmesh/proto-gen/publisher';
import { SubscriberService } from '@eventmesh/proto-gen/subscriber';
import {
  PublisherService as WirePublisherService,
  SubscriberService as WireSubscriberService,
} from '@eventmesh/proto-gen/wire';
import type { Router } from '@eventmesh/rpc';
import { deadLettersService } from './dead-letters.ts';
import { decodeSettle } from './decode-settle.ts';
import { GRPC_METRICS } from './metrics.ts';
import { withDefaults, type GrpcAdapterOptions } from './options.ts';
import { publisherService } from './publisher.ts';
import { scheduledEventsService } from './scheduled-events.ts';
import { sessionGuard } from './session-of.ts';
import { subscribe } from './subscriber.ts';
import { subscriptionsService } from './subscriptions.ts';

/**
 * The gRPC protocol: publisher, subscriber and dead letter services on the emesher's own gRPC server. The
 * streaming parts are served by wire twins, which leave the events as bytes.
 */
export function addGrpcAdapter(
  router: Router,
  port: MeshPort,
  given: Partial<GrpcAdapterOptions> = {},
): void {
  const options = withDefaults(given);
  options.metrics.use(GRPC_METRICS);
  const guard = sessionGuard(port);
  router.service(WirePublisherService, publisherService(port, options), {
    ...guard,
    as: PublisherService,
    // It is told the window first, and may be opened long before there is anything to publish.
    silent: ['PublishStream'],
  });
  router.service(
    WireSubscriberService,
    { subscribe: (requests, ctx) => subscribe(port, requests, ctx, options) },
    { ...guard, as: SubscriberService, decoders: { Subscribe: decodeSettle } },
  );
  router.service(SubscriberService, subscriptionsService(port), {
    ...guard,
    except: ['Subscribe'],
  });
  router.service(ScheduledEventService, scheduledEventsService(port), guard);
  router.service(DeadLetterService, deadLettersService(port), guard);
}
