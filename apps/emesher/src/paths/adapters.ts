import type { MeshPort, ProtocolAdapter } from '@eventmesh/adapter-api';
import { addGrpcAdapter } from '@eventmesh/adapter-grpc';
import { createHttpAdapter } from '@eventmesh/adapter-http';
import type { Router } from '@eventmesh/rpc';
import type { Base } from './foundation.ts';

/** Client → adapter. gRPC is served where the router is; answers the adapters that listen themselves. */
export function addAdapters(
  { options, deps }: Base,
  router: Router,
  portFor: (protocol: string) => MeshPort,
): ProtocolAdapter[] {
  const { metrics, log } = deps;
  const { windowEvents, windowBytes } = options.dataPlane.publish;
  const { consumerBytesMax, consumerMessagesMax } = options.dataPlane.delivery;
  addGrpcAdapter(router, portFor('grpc'), {
    windowEvents,
    windowBytes,
    consumerBytesMax,
    consumerMessagesMax,
    metrics,
  });
  if (options.http === undefined) return [];
  return [createHttpAdapter(options.http, portFor('http'), { log, metrics })];
}
