import type { LostRange } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';
import { lostRangeToWire, type LostRanges } from '../link/lost-ranges.ts';
import type { Peers } from './peers.ts';

/** An emesher that does not answer in this time learns of it when a subscription starts there, in ms. */
const TELL_MS_MAX = 3000;

interface TellLostDeps {
  readonly lost: LostRanges;
  readonly peers: Pick<Peers, 'all'>;
  readonly logger: Logger;
}

/** Keeps what a link has found to be lost, and tells the other emeshers of the site. */
export const tellLost = ({ lost, peers, logger }: TellLostDeps): Pick<LostRanges, 'found'> => ({
  async found(tenant: string, range: LostRange): Promise<void> {
    await lost.found(tenant, range);
    const request = { tenant, partition: range.partition, range: lostRangeToWire(range) };
    const told = peers.all.map(({ client }) =>
      client.tellLost(request, { timeoutMs: TELL_MS_MAX }),
    );
    for (const result of await Promise.allSettled(told)) {
      if (result.status === 'fulfilled') continue;
      const { code, message } = MeshError.from(result.reason);
      logger.debug({ code, reason: message }, 'an emesher could not be told of what was lost');
    }
  },
});
