import { invalid } from '@eventmesh/errors';
import { WireReader } from './protobuf.ts';
import { F } from './record.ts';

/** Bytes from `start` up to, not including, `end`; nothing there when both are 0. */
export interface Span {
  start: number;
  end: number;
}

const span = (): Span => ({ start: 0, end: 0 });
const LENGTH_DELIMITED = 2;
/** The last field of a CloudEvent message. */
const EVENT_FIELDS = 8;

/**
 * Where the parts of a record and of its event lie, for those who carry it and write it anew: one
 * pass, and nothing is decoded. An instance is filled again and again.
 */
export class RecordSpans {
  readonly tenant = span();
  readonly topic = span();
  readonly id = span();
  readonly source = span();
  readonly specVersion = span();
  readonly type = span();
  readonly data = span();
  /** Entries of optional and extension attributes; those from `entryCount` on are of other records. */
  readonly entries: Span[] = [];
  entryCount = 0;
  readonly #event = span();
  #hasData = false;
  readonly #parts = [this.tenant, this.topic, this.id, this.source, this.specVersion, this.type];

  /** @throws MeshError InvalidArgument when the bytes are not a record with an event. */
  read(record: Buffer): void {
    for (const part of this.#parts) part.start = part.end = 0;
    this.data.start = this.data.end = this.#event.start = this.#event.end = 0;
    this.entryCount = 0;
    this.#hasData = false;
    const reader = new WireReader(record);
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === ((F.topic << 3) | LENGTH_DELIMITED)) take(reader, this.topic);
      else if (tag === ((F.tenant << 3) | LENGTH_DELIMITED)) take(reader, this.tenant);
      else if (tag === ((F.event << 3) | LENGTH_DELIMITED)) take(reader, this.#event);
      else reader.skip(tag & 7);
    }
    this.#readEvent(new WireReader(record, this.#event.start, this.#event.end));
  }

  #readEvent(reader: WireReader): void {
    while (!reader.done) {
      const tag = reader.tag();
      const into = (tag & 7) === LENGTH_DELIMITED ? this.#partOf(tag >>> 3) : undefined;
      if (into === undefined) reader.skipUnknown(tag, EVENT_FIELDS);
      else take(reader, into);
    }
  }

  /** A field of io.cloudevents.v1.CloudEvent. */
  #partOf(field: number): Span | undefined {
    switch (field) {
      case 1:
        return this.id;
      case 2:
        return this.source;
      case 3:
        return this.specVersion;
      case 4:
        return this.type;
      case 5:
        return (this.entries[this.entryCount++] ??= span());
      case 6:
      case 7:
      case 8:
        if (this.#hasData) throw invalid('data', 'is there twice');
        this.#hasData = true;
        return this.data;
      default:
        return undefined;
    }
  }
}

function take(reader: WireReader, into: Span): void {
  into.end = reader.span();
  into.start = reader.at;
  reader.at = into.end;
}
