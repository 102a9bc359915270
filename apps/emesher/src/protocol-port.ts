import type { MeshPort, Receipt } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { Metrics } from '@eventmesh/telemetry';
import type { ServedBy } from './inspect/served-by.ts';
import { emesherMetrics } from './metrics.ts';

/**
 * The mesh as one protocol sees it: the same, with what is accepted counted under the protocol's
 * name, and the subscriptions that it serves noted, whose books are then counted under it. One
 * addition for each batch; nothing for each event.
 */
export function protocolPort(
  port: MeshPort,
  protocol: string,
  metrics: Metrics,
  served: ServedBy,
): MeshPort {
  const accepted = metrics.use(emesherMetrics).protocolAccepted.labels(protocol);
  const count = (outcomes: readonly (Receipt | MeshError)[]) => {
    let fresh = 0;
    for (const outcome of outcomes) {
      if (!(outcome instanceof MeshError) && !outcome.duplicate) fresh++;
    }
    if (fresh > 0) accepted.inc(fresh);
    return outcomes;
  };
  return {
    ...port,
    // Nothing waits here that would keep the items while their records are being stored.
    publish: (session, items, options) => port.publish(session, items, options).then(count),
    async request(session, item, options) {
      const reply = await port.request(session, item, options);
      accepted.inc();
      return reply;
    },
    async attach(session, options, sink) {
      const attachment = await port.attach(session, options, sink);
      served.set(attachment.subscription, protocol);
      return attachment;
    },
  };
}
