import type { ReplayStatus, ReplaysPort, Session } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';
import type { Replays } from '../replay/replays.ts';
import { callerOf, wirePrincipal } from '../session.ts';
import type { Peers } from './peers.ts';
import { replayStatusFromWire } from './status-wire.ts';

export interface SiteReplaysDeps {
  readonly replays: Replays;
  readonly peers: Peers;
  readonly logger: Logger;
}

/** An emesher that does not answer in this time is left out, in ms. */
const ASK_MS_MAX = 1500;

/** The replay lanes of the site: each is at the emesher that its consumer is connected to. */
export function siteReplays({ replays, peers, logger }: SiteReplaysDeps): ReplaysPort {
  const list = async (session: Session, subscription?: string): Promise<ReplayStatus[]> => {
    const principal = wirePrincipal(callerOf(session));
    const request = { principal, subscription: subscription ?? '' };
    const asked = peers.all.map(({ client, left }) =>
      client.listReplays(request, { timeoutMs: ASK_MS_MAX, signal: left }),
    );
    const all = [...(await replays.list(session, subscription))];
    for (const result of await Promise.allSettled(asked)) {
      if (result.status === 'fulfilled')
        all.push(...result.value.replays.map(replayStatusFromWire));
      else
        logger.debug({ err: result.reason as Error }, 'an emesher did not tell its replay lanes');
    }
    return all.sort((a, b) => a.startedMs - b.startedMs || (a.id < b.id ? -1 : 1));
  };

  const stop = async (session: Session, id: string): Promise<void> => {
    const here = await failureOf(replays.stop(session, id));
    if (here === undefined) return;
    if (here.code !== 'NotFound') throw here;
    const principal = wirePrincipal(callerOf(session));
    const asked = peers.all.map(({ client, left }) =>
      failureOf(client.stopReplay({ principal, id }, { timeoutMs: ASK_MS_MAX, signal: left })),
    );
    const failures = await Promise.all(asked);
    if (failures.includes(undefined)) return;
    const silent = failures.find((failure) => failure !== undefined && failure.code !== 'NotFound');
    if (silent === undefined) throw here;
    throw new MeshError(
      'Unavailable',
      `the replay "${id}" is at none of the emeshers that answer: ${silent.message}`,
      { field: 'id', retryAfterMs: 1000 },
      silent,
    );
  };

  return { list, stop, preview: (...asked) => replays.preview(...asked) };
}

/** Undefined when it was done. */
async function failureOf(call: Promise<unknown>): Promise<MeshError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return MeshError.from(error);
  }
}
