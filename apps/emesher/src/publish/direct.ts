import type { Receipt } from '@eventmesh/adapter-api';
import { decodeRecord, type RecordView } from '@eventmesh/event';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { CallerSession } from '../session.ts';
import type { Admitted } from './admit.ts';
import { tracedBytes } from './spans.ts';

/**
 * Hands a record to the links that lead to these sites, and to the other emeshers of this site when
 * somebody there wants it. Answers whether somebody of this site may.
 */
export type ForwardDirect = (
  record: Buffer,
  view: RecordView,
  destinations: readonly string[],
  here: boolean,
) => boolean;

export interface DirectDeps {
  readonly site: string;
  readonly ledger: Ledger;
  readonly lanes: Pick<DirectLanes, 'deliver'>;
  readonly forward: ForwardDirect;
}

/** An admitted event of the direct class goes to whoever is there now, and its receipt says so. */
export class DirectPublisher {
  readonly #deps: DirectDeps;

  constructor(deps: DirectDeps) {
    this.#deps = deps;
  }

  publish(session: CallerSession, admitted: Admitted, timeUs: number): Receipt {
    const { site, ledger, lanes, forward } = this.#deps;
    const { key, expiryMs, traceparent, event, resolved } = admitted;
    const { directDestinations: destinations } = resolved;
    const changes = { key, ingressTimeUs: timeUs, expiryMs, traceparent, hops: [] };
    const record = resolved.encoders.direct.encode(changes, tracedBytes(admitted, traceparent));
    ledger.accepted(session.principal.tenant, 'direct', 1, event.bytes.length);
    const view = decodeRecord(record);
    const reached = lanes.deliver(view);
    const wantedHere = forward(record, view, destinations, true) || reached > 0;
    return {
      site,
      partition: 0,
      position: 0,
      duplicate: false,
      durability: undefined,
      noInterest: !wantedHere && destinations.length === 0,
      destinations,
    };
  }
}
