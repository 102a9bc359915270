import { isUtf8 } from 'node:buffer';
import { invalid, type MeshError } from '@eventmesh/errors';
import { asBuffer } from './protobuf.ts';

/** Deepest nesting of arrays and objects in a JSON value that is only passed through. */
export const JSON_DEPTH_MAX = 512;

/** Names that turn into something else when a careless program copies them into an object. */
const POISONED = new Set(['__proto__', 'constructor', 'prototype']);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/**
 * Walks over JSON text (RFC 8259, strictly) without building values, so that a value can be kept as
 * the exact bytes it was written with. Nothing is allocated that the text does not pay for, and
 * nesting costs no call stack.
 */
export class JsonScanner {
  readonly bytes: Buffer;
  at = 0;

  /** @throws MeshError InvalidArgument (field `json`) when the text is not UTF-8. */
  constructor(text: Uint8Array) {
    this.bytes = asBuffer(text);
    if (!isUtf8(this.bytes)) throw invalid('json', 'is not valid UTF-8');
  }

  /** Skips white space and returns the next byte, or undefined at the end. */
  peek(): number | undefined {
    const { bytes } = this;
    for (;;) {
      const byte = bytes[this.at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.at++;
    }
  }

  /** Checks that nothing but white space is left. */
  end(): void {
    if (this.peek() !== undefined) throw this.fault('there is more after the value');
  }

  /** Skips one value of any kind and returns exactly its bytes. */
  value(): Buffer {
    this.peek();
    const start = this.at;
    this.#skip();
    return this.bytes.subarray(start, this.at);
  }

  /** Reads a string. @throws when it has a lone surrogate, which UTF-8 cannot hold. */
  string(): string {
    if (this.peek() !== QUOTE) throw this.fault('a string is expected');
    const start = this.at;
    const escaped = this.#skipString();
    if (!escaped) return this.bytes.utf8Slice(start + 1, this.at - 1);
    const text = JSON.parse(this.bytes.utf8Slice(start, this.at)) as string;
    if (!text.isWellFormed()) throw this.fault('a string has a lone surrogate');
    return text;
  }

  /**
   * Reads an object. `member` is called with each name, the scanner standing before its value, which
   * it must consume. Duplicate and poisoned names are refused.
   */
  object(member: (name: string) => void, membersMax: number): void {
    if (this.peek() !== OPEN_OBJECT) throw this.fault('an object is expected');
    this.at++;
    if (this.#closes(CLOSE_OBJECT)) return;
    const seen = new Set<string>();
    do {
      const name = this.string();
      if (seen.has(name)) throw invalid(brief(name), 'the member is there twice');
      if (POISONED.has(name)) throw invalid(name, 'is not an allowed member name');
      if (seen.add(name).size > membersMax) {
        throw invalid('json', 'an object has too many members', { limit: `${membersMax} members` });
      }
      this.#expect(COLON, 'a colon');
      member(name);
    } while (this.#more(CLOSE_OBJECT));
  }

  /** Reads an array. `item` is called with each index and must consume the value. */
  array(item: (index: number) => void, itemsMax: number): void {
    if (this.peek() !== OPEN_ARRAY) throw this.fault('an array is expected');
    this.at++;
    if (this.#closes(CLOSE_ARRAY)) return;
    let index = 0;
    do {
      if (index >= itemsMax) {
        throw invalid('json', 'an array has too many items', { limit: `${itemsMax} items` });
      }
      item(index++);
    } while (this.#more(CLOSE_ARRAY));
  }

  fault(what: string): MeshError {
    return invalid('json', `${what} at byte ${this.at}`);
  }

  #closes(close: number): boolean {
    if (this.peek() !== close) return false;
    this.at++;
    return true;
  }

  /** After a member or an item: true when a comma announces the next one. */
  #more(close: number): boolean {
    const byte = this.peek();
    if (byte !== COMMA && byte !== close) throw this.fault('a comma or the end is expected');
    this.at++;
    return byte === COMMA;
  }

  #expect(byte: number, what: string): void {
    if (this.peek() !== byte) throw this.fault(`${what} is expected`);
    this.at++;
  }

  #skip(): void {
    const open: number[] = [];
    for (;;) {
      let byte = this.peek();
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (open.length === JSON_DEPTH_MAX) {
          throw invalid('json', 'is nested too deeply', { limit: `${JSON_DEPTH_MAX} levels` });
        }
        const close = byte + 2;
        this.at++;
        if (!this.#closes(close)) {
          open.push(close);
          if (close === CLOSE_OBJECT) this.#skipName();
          continue;
        }
      } else this.#skipScalar(byte);
      for (;;) {
        const close = open.at(-1);
        if (close === undefined) return;
        byte = this.peek();
        if (this.#more(close)) {
          if (close === CLOSE_OBJECT) this.#skipName();
          break;
        }
        open.pop();
      }
    }
  }

  #skipName(): void {
    if (this.peek() !== QUOTE) throw this.fault('a member name is expected');
    this.#skipString();
    this.#expect(COLON, 'a colon');
  }

  #skipScalar(byte: number | undefined): void {
    if (byte === QUOTE) this.#skipString();
    else if (byte === 0x74) this.#skipWord('true');
    else if (byte === 0x66) this.#skipWord('false');
    else if (byte === 0x6e) this.#skipWord('null');
    else if (byte === MINUS || isDigit(byte)) this.#skipNumber();
    else throw this.fault(byte === undefined ? 'the text ends too early' : 'a value is expected');
  }

  #skipWord(word: string): void {
    if (this.#ahead(word.length) !== word) {
      throw this.fault('a value is expected');
    }
    this.at += word.length;
  }

  #ahead(length: number): string {
    return this.bytes.latin1Slice(this.at, Math.min(this.at + length, this.bytes.length));
  }

  #skipNumber(): void {
    const { bytes } = this;
    if (bytes[this.at] === MINUS) this.at++;
    if (bytes[this.at] === 0x30) this.at++;
    else this.#skipDigits();
    if (bytes[this.at] === 0x2e) {
      this.at++;
      this.#skipDigits();
    }
    const exponent = bytes[this.at];
    if (exponent === 0x65 || exponent === 0x45) {
      this.at++;
      const sign = bytes[this.at];
      if (sign === 0x2b || sign === MINUS) this.at++;
      this.#skipDigits();
    }
  }

  #skipDigits(): void {
    const start = this.at;
    while (isDigit(this.bytes[this.at])) this.at++;
    if (this.at === start) throw this.fault('a digit is expected');
  }

  /** Skips a string from its opening quote; true when it has escapes. */
  #skipString(): boolean {
    const { bytes } = this;
    let escaped = false;
    this.at++;
    for (;;) {
      const byte = bytes[this.at++];
      if (byte === QUOTE) return escaped;
      if (byte === undefined) {
        this.at--;
        throw this.fault('a string does not end');
      }
      if (byte < 0x20) throw this.fault('a string has a control character');
      if (byte === BACKSLASH) {
        escaped = true;
        this.#skipEscape();
      }
    }
  }

  #skipEscape(): void {
    const kind = this.bytes[this.at++];
    if (kind === 0x75) {
      const digits = this.#ahead(4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.fault('\\u needs four hex digits');
      this.at += 4;
    } else if (kind === undefined || !ESCAPES.includes(kind)) {
      throw this.fault('an escape is not known');
    }
  }
}

const ESCAPES = Buffer.from('"\\/bfnrt');

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

/** Enough of a hostile name to recognise it by. */
const brief = (name: string): string => (name.length > 64 ? `${name.slice(0, 64)}…` : name);

/** Whether the bytes are one JSON value. */
export function isJsonText(bytes: Uint8Array): boolean {
  try {
    const scanner = new JsonScanner(bytes);
    scanner.value();
    scanner.end();
    return true;
  } catch {
    // The only thing thrown is the fault, and the question is just whether there is one.
    return false;
  }
}

/** Bounds of a JSON document that is turned into values. */
export interface StrictJsonLimits {
  readonly depthMax: number;
  /** Members of one object, and items of one array. */
  readonly membersMax: number;
}

export const STRICT_JSON_LIMITS: StrictJsonLimits = Object.freeze({
  depthMax: 32,
  membersMax: 1024,
});

/**
 * Parses a small untrusted JSON document, such as a request's body. Unlike `JSON.parse` it refuses
 * duplicate members, `__proto__`, `constructor` and `prototype`, lone surrogates and deep nesting.
 *
 * @throws MeshError InvalidArgument that names `json` or the member.
 */
export function parseStrictJson(
  bytes: Uint8Array,
  limits: StrictJsonLimits = STRICT_JSON_LIMITS,
): unknown {
  const scanner = new JsonScanner(bytes);
  const value = strictValue(scanner, limits, 0);
  scanner.end();
  return value;
}

function strictValue(scanner: JsonScanner, limits: StrictJsonLimits, depth: number): unknown {
  const byte = scanner.peek();
  if (byte === QUOTE) return scanner.string();
  if (byte !== OPEN_OBJECT && byte !== OPEN_ARRAY) {
    return JSON.parse(scanner.value().toString('latin1'));
  }
  if (depth === limits.depthMax) {
    throw invalid('json', 'is nested too deeply', { limit: `${limits.depthMax} levels` });
  }
  if (byte === OPEN_ARRAY) {
    const items: unknown[] = [];
    scanner.array(() => items.push(strictValue(scanner, limits, depth + 1)), limits.membersMax);
    return items;
  }
  const members: Record<string, unknown> = {};
  scanner.object((name) => {
    members[name] = strictValue(scanner, limits, depth + 1);
  }, limits.membersMax);
  return members;
}
