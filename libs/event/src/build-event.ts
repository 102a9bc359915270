import { invalid, type MeshError } from '@eventmesh/errors';
import type { AttributeValue, EventData } from './cloud-event.ts';
import { varintLength, writeVarint } from './protobuf.ts';

/** The parts of an event that is not yet encoded. */
export interface EventParts {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** Default `1.0`, the only version there is. */
  readonly specVersion?: string;
  readonly attributes?: Iterable<readonly [string, AttributeValue]>;
  readonly data?: EventData;
}

/**
 * Encodes an event as io.cloudevents.v1.CloudEvent. Data goes last, so that the bytes before it
 * are the attributes and the bytes after its length the untouched payload.
 */
export function encodeEvent(parts: EventParts): Buffer {
  const head: Buffer[] = [
    textField(1, parts.id),
    textField(2, parts.source),
    textField(3, parts.specVersion ?? '1.0'),
    textField(4, parts.type),
  ];
  for (const [name, value] of parts.attributes ?? []) {
    head.push(encodeAttribute(name, value));
  }
  if (parts.data !== undefined) {
    const field = parts.data.kind === 'binary' ? 6 : parts.data.kind === 'text' ? 7 : 8;
    head.push(fieldHead(field, parts.data.bytes.length), parts.data.bytes as Buffer);
  }
  return Buffer.concat(head);
}

/**
 * One attribute as it stands in an encoded event. Appended to the bytes of an event that has no
 * attribute of this name, it makes an event that has: nothing is decoded or encoded again.
 */
export function encodeAttribute(name: string, value: AttributeValue): Buffer {
  return bytesField(
    5,
    Buffer.concat([textField(1, name), bytesField(2, encodeValue(name, value))]),
  );
}

function encodeValue(name: string, value: AttributeValue): Buffer {
  switch (value.kind) {
    case 'boolean':
      return Buffer.from([0x08, value.value ? 1 : 0]);
    case 'integer':
      // What is larger would be cut to its lower 32 bits on the way.
      if (value.value !== (value.value | 0)) throw notInteger(name, value.value);
      return Buffer.concat([Buffer.from([0x10]), signedVarint(value.value)]);
    case 'string':
      return textField(3, value.value);
    case 'bytes':
      return bytesField(4, value.value);
    case 'uri':
      return textField(5, value.value);
    case 'uri-reference':
      return textField(6, value.value);
    case 'timestamp':
      if (!Number.isSafeInteger(value.seconds) || !Number.isSafeInteger(value.nanos)) {
        throw invalid(name, 'is not a time');
      }
      return bytesField(
        7,
        Buffer.concat([
          Buffer.from([0x08]),
          signedVarint(value.seconds),
          Buffer.from([0x10]),
          signedVarint(value.nanos),
        ]),
      );
  }
}

/** CloudEvents 1.0, Integer: 32 bits with a sign. */
const notInteger = (name: string, value: number): MeshError =>
  invalid(name, `${value} is not an integer of CloudEvents; send it as a string`, {
    limit: '-2147483648 to 2147483647',
  });

function signedVarint(value: number): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    out.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Buffer.from(out);
}

function textField(field: number, text: string): Buffer {
  // Node would write U+FFFD in its place and so change the text without a word.
  if (!text.isWellFormed())
    throw invalid('attribute', 'is not well-formed Unicode (lone surrogate)');
  return bytesField(field, Buffer.from(text, 'utf8'));
}

function bytesField(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([fieldHead(field, bytes.length), bytes]);
}

function fieldHead(field: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(1 + varintLength(length));
  out[0] = (field << 3) | 2;
  writeVarint(out, 1, length);
  return out;
}
