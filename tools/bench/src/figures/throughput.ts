import type { Figure } from '../figure.ts';
import { startSystem } from '../system.ts';
import { startEcho } from './echo.ts';
import {
  JETSTREAM_BASELINE,
  LMDB_BASELINE,
  baselineRate,
  firstSite,
  jetStreamBench,
  lmdbRate,
  throughput,
} from './shared.ts';

const EVENTS = 150_000;
const HTTP_EVENTS = 20_000;
const HTTP_CONNECTIONS = 32;

function embedded(name: string, what: string, kind: 'publish' | 'deliver'): Figure {
  return {
    name,
    what,
    unit: 'events/s',
    baseline: LMDB_BASELINE,
    async open() {
      const system = await startSystem({ sites: 1 });
      const job = { kind, site: firstSite(system), events: EVENTS } as const;
      return {
        run: () => throughput(system, job),
        baseline: () => lmdbRate(EVENTS),
        close: () => system.stop(),
      };
    },
  };
}

export const publishEmbedded = embedded(
  'publish.embedded',
  'gRPC stream publish to durable receipt, one embedded site',
  'publish',
);

export const deliverEmbedded = embedded(
  'deliver.embedded',
  'publish to settled delivery 1:1, one embedded site',
  'deliver',
);

function onJetStream(name: string, what: string, kind: 'publish' | 'deliver'): Figure {
  return {
    name,
    what,
    unit: 'events/s',
    baseline: JETSTREAM_BASELINE,
    async open() {
      const { system, url, close } = await jetStreamBench();
      const job = { kind, site: firstSite(system), events: EVENTS } as const;
      return {
        run: () => throughput(system, job),
        baseline: () => baselineRate({ kind: 'jetstream', url, events: EVENTS }),
        close,
      };
    },
  };
}

export const publishJetStream = onJetStream(
  'publish.jetstream',
  'gRPC stream publish to durable receipt through emesher and store-gateway processes',
  'publish',
);

export const deliverJetStream = onJetStream(
  'deliver.jetstream',
  'publish to settled delivery 1:1 through emesher and store-gateway processes',
  'deliver',
);

export const publishHttp: Figure = {
  name: 'publish.http',
  what: `single events over HTTP, ${HTTP_CONNECTIONS} connections, one embedded site`,
  unit: 'events/s',
  baseline: 'a bare fastify that sends the same body back',
  async open() {
    const system = await startSystem({ sites: 1 });
    const echo = await startEcho().catch(async (error: unknown) => {
      await system.stop();
      throw error;
    });
    const { http, user, password } = firstSite(system);
    const job = (url: string) =>
      ({
        kind: 'http',
        url,
        user,
        password,
        connections: HTTP_CONNECTIONS,
        events: HTTP_EVENTS,
      }) as const;
    return {
      run: () => throughput(system, job(`${http}/v1/topics/bench/http`)),
      baseline: () => baselineRate(job(`${echo.url}/echo`)),
      async close() {
        await echo.stop();
        await system.stop();
      },
    };
  },
};
