import { MeshError } from '@eventmesh/errors';
import type { EventStoreService } from '@eventmesh/proto-gen/store';
import { pageOfSorted, type ServiceImpl } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import {
  cursorFromWire,
  cursorIdFromWire,
  cursorToWire,
  durabilityToWire,
  logToWire,
  specFromWire,
} from '@eventmesh/store-remote';
import type { LiveMetrics, Metrics } from '@eventmesh/telemetry';
import { appendStream } from './append.ts';
import type { StoreGatewaySettings } from './config.ts';
import type { DurabilityWatch } from './durability-watch.ts';
import type { STORE_METRICS } from './metrics.ts';
import { readStream } from './read.ts';

const CURSORS_PER_MESSAGE = 1000;

export interface StoreServiceParts {
  readonly store: EventStore;
  readonly durability: DurabilityWatch;
  readonly settings: StoreGatewaySettings;
  readonly metrics: LiveMetrics<typeof STORE_METRICS>;
  readonly measure: Metrics['measure'];
}

/** eventmesh.store.v1.EventStoreService over a store. */
export function storeService(parts: StoreServiceParts): ServiceImpl<typeof EventStoreService> {
  const { store, durability, metrics } = parts;
  return {
    async getProfile() {
      const profile = await durability.verify();
      return {
        store: profile.store,
        durability: durabilityToWire(profile.durability),
        evidence: [...profile.evidence],
        warnings: [...profile.warnings],
        capabilities: [...store.capabilities],
        strict: durability.strict,
        recordBytesMax: BigInt(profile.recordBytesMax),
      };
    },
    async ensureLog({ spec }) {
      durability.check();
      return { log: logToWire(await store.ensureLog(specFromWire(spec))) };
    },
    async getLog({ name }) {
      const log = await store.logInfo(name);
      if (log === undefined) {
        throw new MeshError('NotFound', `there is no log "${name}"`, {
          field: 'name',
          reason: 'LOG_NOT_FOUND',
        });
      }
      return { log: logToWire(log) };
    },
    async listLogs(page) {
      const sorted = (await store.listLogs()).sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
      const { entries, nextPageToken } = pageOfSorted(sorted, page, {
        scope: 'logs',
        keyOf: ({ spec }) => spec.name,
        bytesOf: (log) => Buffer.byteLength(JSON.stringify(log)),
      });
      return { logs: entries.map(logToWire), nextPageToken };
    },
    append(requests, ctx) {
      return appendStream({ ...parts, settings: parts.settings.append }, requests, ctx);
    },
    read(requests, ctx) {
      return readStream({ ...parts, settings: parts.settings.read }, requests, ctx);
    },
    async commitCursors({ commits }) {
      const fenced = await store.commitCursors(
        commits.map(({ id, cursor }) => ({
          id: cursorIdFromWire(id),
          cursor: cursorFromWire(cursor),
        })),
      );
      if (fenced.length > 0) metrics.fencedCursors.inc(fenced.length);
      return { fenced };
    },
    async loadCursor({ id }) {
      const cursor = await store.loadCursor(cursorIdFromWire(id));
      return cursor === undefined ? {} : { cursor: cursorToWire(cursor) as never };
    },
    async deleteCursor({ id }) {
      await store.deleteCursor(cursorIdFromWire(id));
      return {};
    },
    async *listCursors({ log }) {
      const ids = await store.listCursors(log);
      for (let from = 0; from < ids.length; from += CURSORS_PER_MESSAGE) {
        yield { cursors: ids.slice(from, from + CURSORS_PER_MESSAGE) as never };
      }
    },
    async getProducer({ log, partition, producer }) {
      return { last: BigInt(await store.producerSequence(log, partition, producer)) };
    },
    async trim({ log, partition, before }) {
      await store.trim(log, partition, Number(before));
      return {};
    },
  };
}
