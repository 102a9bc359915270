import type { Router } from '@eventmesh/rpc';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { Inspection } from '../inspect/inspection.ts';
import { addLinkService } from '../link/link-service.ts';
import type { Links } from '../link/links.ts';
import type { ReceiverDeps } from '../link/receiver.ts';
import { emesherQueues } from '../metrics.ts';
import type { DirectFanOut } from '../peer/direct-fan-out.ts';
import type { Base } from './foundation.ts';

interface ReceiveParts {
  readonly lanes: DirectLanes;
  readonly links: Pick<Links, 'clients'>;
  readonly fanOut: DirectFanOut;
  readonly inspection: Pick<Inspection, 'tracer' | 'why'>;
}

/** A neighbour's link → append → accept; and what the neighbours ask. */
export function receivePath(
  { options, deps, logs, ledger, metrics, journal }: Base,
  router: Router,
  { lanes, links, fanOut, inspection }: ReceiveParts,
): void {
  const { site, member, linkToken } = options;
  const { store, tracing, policies, authorizer, log: logger } = deps;
  const { windowBytes, answersMax, progressInterval, hopsMax } = options.dataPlane.link;
  const receiver: ReceiverDeps = {
    site,
    member,
    store,
    logs,
    lanes,
    ledger,
    metrics,
    journal,
    tracing,
    logger,
    windowBytes,
    answersMax,
    progressInterval,
    hopsMax,
    revisions: () => ({
      policyRevision: Math.max(0, policies.revision),
      grantsRevision: Math.max(0, authorizer.revision),
    }),
    neighbours: new Set(links.clients.keys()),
    forwardDirect: fanOut.forward.bind(fanOut),
    measure(window, answers) {
      const stops = [
        deps.metrics.measure(emesherQueues.linkUnstoredBytes, () => window.bytes),
        deps.metrics.measure(emesherQueues.linkAnswers, answers),
      ];
      return () => stops.forEach((stop) => stop());
    },
  };
  addLinkService(router, receiver, inspection, linkToken);
}
