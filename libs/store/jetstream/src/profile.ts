import type { StreamInfo } from '@nats-io/jetstream';
import {
  RECORD_BYTES_MAX,
  type DurabilityClass,
  type DurabilityProfile,
} from '@eventmesh/store-api';
import { ask } from './ask.ts';
import type { Connection } from './connection.ts';
import type { Servers } from './servers.ts';

/** Headers, subject and the base64 of the envelope need room in a message too. */
const ENVELOPE_BYTES = 128 * 1024;
const PROBES = 5;

/** First releases of each line with all fixes that acknowledged records rely on. */
const VERSION_FLOORS: readonly (readonly [number, number, number])[] = [
  [2, 12, 12],
  [2, 14, 3],
];

export interface ProfileOptions {
  readonly replicas: number;
  readonly servers: Servers;
  /** Streams whose settings are read back. */
  readonly streams: readonly string[];
  /** A stream and subject to time a synced publish on. */
  readonly probe: () => Promise<void>;
}

/** Asks the live servers how strong they are. What cannot be seen is not assumed. */
export async function verifyProfile(
  connection: Connection,
  options: ProfileOptions,
): Promise<DurabilityProfile> {
  connection.checkUp();
  const { info } = connection.nc;
  const evidence: string[] = [
    `The store is connected to nats-server ${info?.version ?? '?'}, server "${info?.server_name ?? '?'}".`,
  ];
  const warnings: string[] = [];
  const infos = await Promise.all(
    options.streams.map((name) => ask(connection, () => connection.jsm.streams.info(name))),
  );
  const stored = storedAs(infos, options, warnings);
  const synced = await options.servers.syncAlways(infos, evidence, warnings);
  const recent = isRecent(info?.version ?? '');
  if (!recent) {
    warnings.push(
      `nats-server ${info?.version} lacks fixes that acknowledged records rely on; upgrade it to ` +
        '2.12.12, 2.14.3 or newer.',
    );
  }
  evidence.push(
    `The configuration of ${options.streams.length} streams was read back: they are kept in ` +
      `${stored.memory ? 'memory' : 'files'}, with at least ${stored.replicas} replica(s) each.`,
  );
  evidence.push(...stored.dropped);
  evidence.push(
    `A single small write is answered in ${await probeMs(options.probe)} ms (median of ${PROBES}).`,
  );
  const maxPayload = info?.max_payload ?? 1024 * 1024;
  return {
    store: 'jetstream',
    durability: classOf(stored, synced && recent),
    evidence,
    warnings,
    recordBytesMax: Math.min(RECORD_BYTES_MAX, maxPayload - ENVELOPE_BYTES),
  };
}

interface StoredAs {
  readonly memory: boolean;
  readonly asyncPersist: boolean;
  /** The least of all streams. */
  readonly replicas: number;
  /** What the server says that it left out when it started, one sentence a stream. */
  readonly dropped: readonly string[];
}

function classOf(stored: StoredAs, synced: boolean): DurabilityClass {
  const quorum = stored.replicas >= 3;
  if (stored.memory) return quorum ? 'quorum-memory' : 'memory';
  if (synced && !stored.asyncPersist) return quorum ? 'quorum-fsync' : 'fsync';
  return quorum ? 'quorum-memory' : 'page-cache';
}

function storedAs(
  infos: readonly StreamInfo[],
  { replicas: wanted }: ProfileOptions,
  warnings: string[],
): StoredAs {
  const memory = infos.some(({ config }) => config.storage !== 'file');
  const asyncPersist = infos.some(({ config }) => (config.persist_mode as string) === 'async');
  const replicas = Math.min(...infos.map(({ config }) => config.num_replicas));
  if (memory) warnings.push('A stream is kept in memory; its storage must be file.');
  if (asyncPersist) warnings.push('A stream has persist_mode async; it must be default.');
  if (replicas < wanted) {
    warnings.push(
      `A stream has ${replicas} replica(s) where ${wanted} are configured; nats-server has to get ` +
        'more servers before it can make them.',
    );
  }
  const dropped = infos.flatMap(({ config, state }) => {
    const bytes = state.lost?.bytes ?? 0;
    if (bytes === 0) return [];
    return (
      `When it started, nats-server dropped ${bytes} bytes at the end of stream ${config.name}; ` +
      'everything that was acknowledged up to the last mark, at most a second before, is there.'
    );
  });
  return { memory, asyncPersist, replicas, dropped };
}

/** Evidence only: a fast disk with syncs and a slow one without look alike. */
async function probeMs(probe: () => Promise<void>): Promise<string> {
  const times: number[] = [];
  for (let n = 0; n < PROBES; n++) {
    const start = performance.now();
    await probe();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return (times[PROBES >> 1] ?? 0).toFixed(2);
}

function isRecent(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const floor = VERSION_FLOORS.find(([m, n]) => m === major && n === minor);
  if (floor !== undefined) return patch >= floor[2];
  const newest = VERSION_FLOORS.at(-1) ?? [0, 0, 0];
  // 2.13 has no fixed release; everything after the newest line has the fixes.
  return major > newest[0] || (major === newest[0] && minor > newest[1]);
}
