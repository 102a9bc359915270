import { MeshError } from '@eventmesh/errors';
import { DurabilityClass as WireClass } from '@eventmesh/proto-gen/event';
import type * as pb from '@eventmesh/proto-gen/store';
import {
  STORE_CAPABILITIES,
  type Cursor,
  type CursorId,
  type DurabilityClass,
  type LogInfo,
  type LogSpec,
  type StoreCapability,
} from '@eventmesh/store-api';

/*
 * Between the store contract and eventmesh.store.v1, one function a direction. Both sides of the
 * wire use them: the client here and the service of the gateway.
 */

const TO_WIRE: Readonly<Record<DurabilityClass, WireClass>> = Object.freeze({
  memory: WireClass.MEMORY,
  'page-cache': WireClass.PAGE_CACHE,
  fsync: WireClass.FSYNC,
  'quorum-memory': WireClass.QUORUM_MEMORY,
  'quorum-fsync': WireClass.QUORUM_FSYNC,
});

export const durabilityToWire = (durability: DurabilityClass): WireClass => TO_WIRE[durability];

/** A class that this version does not know counts as the weakest. */
export function durabilityFromWire(wire: WireClass): DurabilityClass {
  const names = Object.keys(TO_WIRE) as DurabilityClass[];
  return names.find((name) => TO_WIRE[name] === wire) ?? 'memory';
}

export function capabilitiesFromWire(names: readonly string[]): Set<StoreCapability> {
  return new Set(STORE_CAPABILITIES.filter((capability) => names.includes(capability)));
}

export const specToWire = (spec: LogSpec) => ({
  name: spec.name,
  partitions: spec.partitions,
  retentionMs: BigInt(spec.retentionMs),
  retentionBytes: BigInt(spec.retentionBytes),
  duplicateWindow: spec.duplicateWindow,
});

export function specFromWire(wire: pb.LogSpec | undefined): LogSpec {
  if (wire === undefined) throw missing('spec');
  return {
    name: wire.name,
    partitions: wire.partitions,
    retentionMs: Number(wire.retentionMs),
    retentionBytes: Number(wire.retentionBytes),
    duplicateWindow: wire.duplicateWindow,
  };
}

export const logToWire = ({ spec, partitions }: LogInfo) => ({
  spec: specToWire(spec),
  partitions: partitions.map((info) => ({
    partition: info.partition,
    first: BigInt(info.first),
    last: BigInt(info.last),
    bytes: BigInt(info.bytes),
  })),
});

export function logFromWire(wire: pb.LogInfo | undefined): LogInfo {
  if (wire === undefined) throw missing('log');
  return {
    spec: specFromWire(wire.spec),
    partitions: wire.partitions.map((info) => ({
      partition: info.partition,
      first: Number(info.first),
      last: Number(info.last),
      bytes: Number(info.bytes),
    })),
  };
}

export const cursorToWire = (cursor: Cursor) => ({
  floor: BigInt(cursor.floor),
  settled: cursor.settled.map(({ from, to }) => ({ from: BigInt(from), to: BigInt(to) })),
  epoch: BigInt(cursor.epoch),
  state: cursor.state,
});

export function cursorFromWire(wire: pb.Cursor | undefined): Cursor {
  if (wire === undefined) throw missing('cursor');
  return {
    floor: Number(wire.floor),
    settled: wire.settled.map(({ from, to }) => ({ from: Number(from), to: Number(to) })),
    epoch: Number(wire.epoch),
    state: wire.state,
  };
}

export function cursorIdFromWire(wire: pb.CursorId | undefined): CursorId {
  if (wire === undefined) throw missing('id');
  return { log: wire.log, partition: wire.partition, subscription: wire.subscription };
}

const missing = (field: string): MeshError =>
  new MeshError('InvalidArgument', `${field}: is missing`, { field });
