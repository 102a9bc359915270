import { isUtf8 } from 'node:buffer';
import { ScalarType, fromBinary, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { MeshError } from '@eventmesh/errors';

/** Bytes that are not the message of the method: grpc-js would call that an error of the server. */
export class Malformed {
  readonly error: MeshError;

  constructor(error: MeshError) {
    this.error = error;
  }
}

/**
 * Hands on what cannot be read instead of throwing, for the call itself to refuse.
 *
 * @param typeName The type as callers know it.
 * @param decode Tried first.
 */
export const tolerant =
  (schema: DescMessage, typeName: string, decode?: (bytes: Buffer) => object | undefined) =>
  (bytes: Buffer): unknown => {
    try {
      return decode?.(bytes) ?? fromBinary(schema, bytes);
    } catch (error) {
      return new Malformed(malformed(schema, typeName, bytes, error));
    }
  };

function malformed(
  schema: DescMessage,
  typeName: string,
  bytes: Uint8Array,
  cause: unknown,
): MeshError {
  const field = notText(schema, bytes);
  return field === undefined
    ? new MeshError(
        'InvalidArgument',
        `request: is not a ${typeName} in protobuf encoding`,
        { field: 'request', reason: 'MALFORMED' },
        cause,
      )
    : new MeshError(
        'InvalidArgument',
        `${field}: is not text; send UTF-8`,
        { field, reason: 'MALFORMED' },
        cause,
      );
}

/** Deepest nesting that is looked through; deeper ones are no messages of the mesh. */
const DEPTH_MAX = 32;

/** The path of the first text field that is not UTF-8, such as `events[3].topic`. */
function notText(schema: DescMessage, bytes: Uint8Array, depth = 0): string | undefined {
  const reader = new BinaryReader(bytes);
  const seen = new Map<DescField, number>();
  try {
    while (reader.pos < reader.len && depth < DEPTH_MAX) {
      const [number, wireType] = reader.tag();
      const field = schema.fields.find((candidate) => candidate.number === number);
      if (field === undefined || wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, number);
        continue;
      }
      const index = seen.get(field) ?? 0;
      seen.set(field, index + 1);
      const name = field.fieldKind === 'list' ? `${field.name}[${index}]` : field.name;
      const fault = faultIn(field, reader.bytes(), depth);
      if (fault !== undefined) return fault === '' ? name : `${name}.${fault}`;
    }
  } catch {
    // The bytes cannot be read on: it is the message that is at fault, not its text.
    return undefined;
  }
  return undefined;
}

/** '' for the field itself, the path inside of it, or undefined when it is well. */
function faultIn(field: DescField, bytes: Uint8Array, depth: number): string | undefined {
  if (field.fieldKind === 'map') return undefined;
  if (field.message !== undefined) return notText(field.message, bytes, depth + 1);
  return field.scalar === ScalarType.STRING && !isUtf8(bytes) ? '' : undefined;
}
