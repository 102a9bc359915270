import type { InspectPort } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import type { Logger } from '@eventmesh/telemetry';
import type { LinkClient } from '../link/link-client.ts';
import { createInspectPort, type InspectDeps } from './inspect-port.ts';
import { Tracer } from './tracer.ts';
import { Explainer, type ExplainerDeps } from './why/explainer.ts';
import { Why } from './why/why.ts';

export interface InspectionDeps
  extends
    Omit<InspectDeps, 'tracer' | 'why' | 'policies' | 'logs'>,
    Omit<ExplainerDeps, 'nextHop' | 'policies' | 'directory'> {
  readonly policies: GovernanceView;
  readonly links: ReadonlyMap<string, LinkClient>;
  readonly logger: Logger;
}

/** What looks at the mesh without touching it: for callers, and for the neighbours' questions. */
export interface Inspection {
  readonly port: InspectPort;
  readonly tracer: Tracer;
  readonly why: Why;
}

export function createInspection(deps: InspectionDeps): Inspection {
  const { site, links, logger } = deps;
  const tracer = new Tracer(deps);
  const explainer = new Explainer({ ...deps, nextHop: deps.directory.nextHop });
  const why = new Why({ site, explainer, links, logger });
  return { port: createInspectPort({ ...deps, tracer, why }), tracer, why };
}
