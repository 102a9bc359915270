import { DurabilityClass } from '@eventmesh/proto-gen/event';

const DURABILITY: Readonly<Record<string, DurabilityClass>> = Object.freeze({
  memory: DurabilityClass.MEMORY,
  'page-cache': DurabilityClass.PAGE_CACHE,
  fsync: DurabilityClass.FSYNC,
  'quorum-memory': DurabilityClass.QUORUM_MEMORY,
  'quorum-fsync': DurabilityClass.QUORUM_FSYNC,
});

/** Unspecified for the direct class, which has none. */
export const durabilityToWire = (durability: string | undefined): DurabilityClass =>
  DURABILITY[durability ?? ''] ?? DurabilityClass.UNSPECIFIED;
