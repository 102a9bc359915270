import { MeshError, invalid } from '@eventmesh/errors';
import {
  RecordSpans,
  WireReader,
  asBuffer,
  attributeText,
  decodeAttribute,
  writeVarint,
  type Span,
} from '@eventmesh/event';
import type { AppendRecord } from '@eventmesh/store-api';
import { RECORD_HEADER } from './message.ts';
import { writeAll, writeBase64, writeSubject, writeValue } from './write-bytes.ts';

const DOT = 0x2e;
const LINE_END = Buffer.from('\r\n');
const COLON = Buffer.from(': ');
const CE = Buffer.from('ce-');
const CE_SPEC_VERSION = Buffer.from('ce-specversion: ');
const CE_ID = Buffer.from('\r\nce-id: ');
const CE_SOURCE = Buffer.from('\r\nce-source: ');
const CE_TYPE = Buffer.from('\r\nce-type: ');
const MESH_RECORD = Buffer.from(`${RECORD_HEADER}: `);
/** Subject of bytes that are not a record; they are kept as they are. */
const OPAQUE_SUBJECT = Buffer.from('%.%');

/** What the lines of a message, and each attribute of it, take at most beside their own bytes. */
const LINES_BYTES_MAX = 256;
const ATTRIBUTE_BYTES_MAX = 64;
/**
 * A message takes at most so many times the bytes of its record and, as UTF-8 at its largest, its key,
 * and so many more: what could be larger than the server takes is measured.
 */
export const MESSAGE_GROWTH_MAX = { times: 16, bytes: LINES_BYTES_MAX };
/**
 * The server refuses a message, and with it its whole batch, whose header lines are longer than 64 KiB
 * less one byte. What is written beside a record's own, mark and batch, takes at most the difference.
 */
const HEADERS_BYTES_MAX = 60 * 1024;
/** Most bytes of the two lengths in the mesh's header. */
const LENGTHS_MAX = 20;
/** Kinds of an attribute's value that are text as they lie there: string, URI, URI-reference. */
const TEXT_TAGS: readonly number[] = [0x1a, 0x2a, 0x32];

/** An attribute of the record that is open; the instances are used again and again. */
interface Attribute {
  readonly name: Span;
  readonly value: Span;
  /** The value as text, when it does not lie there as text. */
  text: Buffer | undefined;
}

/**
 * Writes records as NATS messages (see `message.ts`), one after the other: `open` finds the parts of
 * a record, the others write them. Nothing of a record is decoded to be carried, and what is written
 * is written once and in place.
 */
export class MessageEncoder {
  readonly #spans = new RecordSpans();
  readonly #attributes: Attribute[] = [];
  /** Where the parts of the mesh's header come together before they are encoded. */
  readonly #scratch = Buffer.allocUnsafeSlow(16 * 1024);
  #record: Buffer = LINE_END;
  #dedupKey = '';
  #isRecord = false;
  /** Its attributes are header lines; otherwise the payload is all of the record. */
  #inHeaders = false;
  #bytesMax = 0;
  #payloadStart = 0;
  #payloadEnd = 0;

  /** What is asked of the encoder from now on is of this record. */
  open({ bytes, dedupKey = '' }: AppendRecord): void {
    this.#record = asBuffer(bytes);
    this.#dedupKey = dedupKey;
    this.#isRecord = this.#readSpans();
    const { data, entryCount } = this.#spans;
    const { length } = this.#record;
    const hasPayload = this.#isRecord && data.end > 0;
    this.#payloadStart = hasPayload ? data.start : this.#isRecord ? length : 0;
    this.#payloadEnd = hasPayload ? data.end : length;
    // A byte takes three at most where it is escaped, and lies once more in base64 or in the payload.
    const beside = 5 * (length - this.payloadBytes + 3 * dedupKey.length);
    const attributes = this.#isRecord ? entryCount * ATTRIBUTE_BYTES_MAX : 0;
    const linesMax = beside + attributes + LINES_BYTES_MAX;
    this.#bytesMax = this.payloadBytes + linesMax;
    this.#inHeaders = this.#isRecord && linesMax <= HEADERS_BYTES_MAX;
    if (this.#inHeaders) return;
    this.#payloadStart = 0;
    this.#payloadEnd = length;
  }

  get payloadBytes(): number {
    return this.#payloadEnd - this.#payloadStart;
  }

  /** Bytes that subject, header lines and payload take together at most. */
  get bytesMax(): number {
    return this.#bytesMax;
  }

  /** The tokens below the partition's base: tenant and topic. */
  writeSubject(out: Buffer, at: number): number {
    if (!this.#isRecord) return writeAll(out, at, OPAQUE_SUBJECT);
    at = writeSubject(out, at, this.#record, this.#spans.tenant);
    out[at++] = DOT;
    return writeSubject(out, at, this.#record, this.#spans.topic);
  }

  /** Header lines, each with its line end, without the first line and the empty one. */
  writeHeaders(out: Buffer, at: number): number {
    if (this.#inHeaders) at = this.#writeAttributes(out, at);
    at = writeAll(out, at, MESH_RECORD);
    at = this.#writeRest(out, at);
    return writeAll(out, at, LINE_END);
  }

  writePayload(out: Buffer, at: number): number {
    return at + this.#record.copy(out, at, this.#payloadStart, this.#payloadEnd);
  }

  #readSpans(): boolean {
    try {
      const spans = this.#spans;
      spans.read(this.#record);
      for (let i = 0; i < spans.entryCount; i++) {
        const attribute = (this.#attributes[i] ??= {
          name: span(),
          value: span(),
          text: undefined,
        });
        this.#readAttribute(spans.entries[i] as Span, attribute);
      }
      // Tenant and topic make the subject.
      return spans.tenant.end > spans.tenant.start && spans.topic.end > spans.topic.start;
    } catch (error) {
      // Not a record: kept as opaque bytes, as every store does. Anything else is a fault.
      if (error instanceof MeshError && error.code === 'InvalidArgument') return false;
      throw error;
    }
  }

  #writeAttributes(out: Buffer, at: number): number {
    const { specVersion, id, source, type, entryCount } = this.#spans;
    at = writeAll(out, at, CE_SPEC_VERSION);
    at = writeValue(out, at, this.#record, specVersion);
    at = writeAll(out, at, CE_ID);
    at = writeValue(out, at, this.#record, id);
    at = writeAll(out, at, CE_SOURCE);
    at = writeValue(out, at, this.#record, source);
    at = writeAll(out, at, CE_TYPE);
    at = writeValue(out, at, this.#record, type);
    at = writeAll(out, at, LINE_END);
    for (let i = 0; i < entryCount; i++) {
      const { name, value, text } = this.#attributes[i] as Attribute;
      at = writeAll(out, at, CE);
      at = writeValue(out, at, this.#record, name);
      at = writeAll(out, at, COLON);
      at = writeValue(out, at, text ?? this.#record, value);
      at = writeAll(out, at, LINE_END);
    }
    return at;
  }

  /** @throws MeshError InvalidArgument when the bytes are no attribute. */
  #readAttribute(entry: Span, into: Attribute): void {
    const { name, value } = into;
    const reader = new WireReader(this.#record, entry.start, entry.end);
    name.start = name.end = value.start = value.end = 0;
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === 0x0a) takeSpan(reader, name);
      else if (tag === 0x12) takeSpan(reader, value);
      else reader.skipUnknown(tag, 2);
    }
    into.text = this.#narrow(value);
  }

  /** Narrows a value to the text in it, or answers another kind's canonical text with its span. */
  #narrow(value: Span): Buffer | undefined {
    const reader = new WireReader(this.#record, value.start, value.end);
    if (!reader.done && TEXT_TAGS.includes(reader.tag()) && reader.span() === value.end) {
      value.start = reader.at;
      return undefined;
    }
    const decoded = decodeAttribute(this.#record, value);
    if (decoded === undefined) throw invalid('attributes', 'one has no value');
    const text = Buffer.from(attributeText(decoded));
    value.start = 0;
    value.end = text.length;
    return text;
  }

  /** Key, and what the record has behind and before its payload, as base64. */
  #writeRest(out: Buffer, at: number): number {
    const record = this.#record;
    const key = this.#dedupKey;
    const tailBytes = record.length - this.#payloadEnd;
    const size = LENGTHS_MAX + 3 * key.length + tailBytes + this.#payloadStart;
    const packed = size <= this.#scratch.length ? this.#scratch : Buffer.allocUnsafe(size);
    const keyBytes = Buffer.byteLength(key);
    let end = writeVarint(packed, 0, keyBytes);
    end += packed.utf8Write(key, end, keyBytes);
    end = writeVarint(packed, end, tailBytes);
    end += record.copy(packed, end, this.#payloadEnd);
    end += record.copy(packed, end, 0, this.#payloadStart);
    return writeBase64(out, at, packed, end);
  }
}

const span = (): Span => ({ start: 0, end: 0 });

function takeSpan(reader: WireReader, into: Span): void {
  into.end = reader.span();
  into.start = reader.at;
  reader.at = into.end;
}
