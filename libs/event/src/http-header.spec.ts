import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MeshError } from '@eventmesh/errors';
import {
  charset,
  decodeHeaderValue,
  encodeHeaderValue,
  isJsonContentType,
  isTextContentType,
} from './index.ts';

const decode = (raw: string): string => decodeHeaderValue(raw, 'ce-x');

describe('encodeHeaderValue (HTTP binding 1.0.2, 3.1.3.2)', () => {
  it.each([
    ['plain-~!#$&/', 'plain-~!#$&/'],
    ['Euro € 😀', 'Euro%20%E2%82%AC%20%F0%9F%98%80'],
    ['"quoted"', '%22quoted%22'],
    ['100%', '100%25'],
    ['a\u0007b', 'a%07b'],
    ['', ''],
  ])('%j is %j', (text, header) => {
    expect(encodeHeaderValue(text)).toBe(header);
    expect(decode(header)).toBe(text);
  });

  it('is undone by decodeHeaderValue for every well-formed text, and is printable ASCII', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
        const header = encodeHeaderValue(text);
        expect(header).toMatch(/^[\u0021\u0023-\u007e]*$/);
        expect(decode(header)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });
});

describe('decodeHeaderValue', () => {
  const raw = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
  it.each([
    ['lower-case escapes', 'a%e2%82%ac', 'a€'],
    ['needless escapes', '%41%2F', 'A/'],
    ['one round only', '%2541', '%41'],
    ['a quoted string', '"a \\"b\\" \\\\c"', 'a "b" \\c'],
    ['a quoted string with escapes', '"a%20b"', 'a b'],
    ['one quote alone', '"', '"'],
    ['a percent sign that starts no escape', '100% of %zz', '100% of %zz'],
    ['raw UTF-8', raw('grüße 🌍'), 'grüße 🌍'],
    ['raw UTF-8 beside escapes', `${raw('ü')}%C3%BC`, 'üü'],
  ])('understands %s', (_, header, text) => {
    expect(decode(header)).toBe(text);
  });

  it.each([
    ...['%C0%A0', '%ED%A0%80', '%FF', '%E2%82', 'a%80b'],
    ...['\u00ff', 'gr\u00fc\u00dfe', `${raw('ü')}\u0080`, '\u00ed\u00a0\u0080'],
  ])('refuses %s: not UTF-8', (header) => {
    try {
      decode(header);
    } catch (error) {
      expect((error as MeshError).details.field).toBe('ce-x');
      return;
    }
    throw new Error('nothing was thrown');
  });
});

describe('content types', () => {
  it.each([
    ['application/json', true],
    ['Application/JSON ; charset=utf-8', true],
    ['application/problem+json', true],
    ['text/json', true],
    ['application/jsonx', false],
    ['text/plain; x=+json', false],
    ['', false],
  ])('%j declares JSON: %s', (type, expected) => {
    expect(isJsonContentType(type)).toBe(expected);
  });

  it.each([
    ['text/plain', true],
    ['application/xml', true],
    ['image/svg+xml', true],
    ['text/plain; charset=latin1', false],
    ['application/x; charset="UTF-8"', true],
    ['image/png', false],
  ])('%j is UTF-8 text: %s', (type, expected) => {
    expect(isTextContentType(type)).toBe(expected);
  });

  it('read a charset in any case, spacing and quotes', () => {
    expect(charset('a/b;Charset = "UTF-8"')).toBe('utf-8');
    expect(charset('a/b')).toBeUndefined();
  });
});
