import { invalid } from '@eventmesh/errors';

const UINT32_MAX = 2 ** 32 - 1;

/**
 * A number of the caller as an `int64` of the wire; what was not given is 0.
 *
 * @throws MeshError InvalidArgument for what is no whole number from 0 to 2^53 - 1.
 */
export function int64(field: string, value: number | undefined): bigint {
  if (value === undefined || value === 0) return 0n;
  return BigInt(whole(field, value, Number.MAX_SAFE_INTEGER));
}

/**
 * A number of the caller as a `uint32` of the wire; what was not given is 0.
 *
 * @throws MeshError InvalidArgument for what is no whole number from 0 to 2^32 - 1.
 */
export function uint32(field: string, value: number | undefined): number {
  return value === undefined ? 0 : whole(field, value, UINT32_MAX);
}

function whole(field: string, value: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
  throw invalid(field, `${value} is not a whole number in its bounds`, { limit: `0 to ${max}` });
}
