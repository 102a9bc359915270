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
import { publisherService } from './publisher.ts';
import { scheduledEventsService } from './scheduled-events.ts';
import { subscribe } from './subscriber.ts';
import { subscriptionsService } from './subscriptions.ts';

export interface GrpcAdapterOptions {
  /** Events of one publish stream that may be unanswered. Default 8,192. */
  readonly windowEvents: number;
}

export const GRPC_ADAPTER_DEFAULTS: GrpcAdapterOptions = Object.freeze({ windowEvents: 8192 });

/**
 * The gRPC protocol: publisher, subscriber and dead letter services on the emesher's own gRPC server. The
 * streaming parts are served by wire twins, which leave the events as bytes.
 */
export function addGrpcAdapter(
  router: Router,
  port: MeshPort,
  options: GrpcAdapterOptions = GRPC_ADAPTER_DEFAULTS,
): void {
  router.service(WirePublisherService, publisherService(port, options.windowEvents), {
    as: PublisherService,
  });
  router.service(
    WireSubscriberService,
    { subscribe: (requests, ctx) => subscribe(port, requests, ctx) },
    { as: SubscriberService },
  );
  router.service(SubscriberService, subscriptionsService(port), { except: ['Subscribe'] });
  router.service(ScheduledEventService, scheduledEventsService(port));
  router.service(DeadLetterService, deadLettersService(port));
}
