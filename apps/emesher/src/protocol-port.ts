import type { DeliverySink, MeshPort } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { Metrics } from '@eventmesh/telemetry';
import { emesherMetrics } from './metrics.ts';

/**
 * The mesh as one protocol sees it: the same, with what is accepted and handed out counted under
 * the protocol's name. One addition for each batch; nothing for each event.
 */
export function protocolPort(port: MeshPort, protocol: string, metrics: Metrics): MeshPort {
  const live = metrics.use(emesherMetrics);
  const accepted = live.protocolAccepted.labels(protocol);
  const delivered = live.protocolDelivered.labels(protocol);
  return {
    ...port,
    async publish(session, items, options) {
      const outcomes = await port.publish(session, items, options);
      let good = outcomes.length;
      for (const outcome of outcomes) if (outcome instanceof MeshError) good--;
      if (good > 0) accepted.inc(good);
      return outcomes;
    },
    attach(session, options, sink) {
      const counting: DeliverySink = {
        deliver(deliveries) {
          delivered.inc(deliveries.length);
          sink.deliver(deliveries);
        },
        gap: (gap) => sink.gap(gap),
        refused: (ids) => sink.refused(ids),
        ended: (reason) => sink.ended(reason),
      };
      return port.attach(session, options, counting);
    },
  };
}
