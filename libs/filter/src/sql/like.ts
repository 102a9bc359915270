import { ANY, PartFinder, type Part } from './like-part.ts';
import { hasSurrogates } from './text.ts';

/**
 * Compiles a LIKE pattern: `%` is any number of characters, `_` one, and a backslash before either
 * takes it literally. A match costs at most the length of the text times that of the pattern
 * divided by 32, whatever the two are: there is nothing to go back to.
 */
export function compileLike(pattern: string): (text: string) => boolean {
  const parts = partsOf(pattern);
  if (parts.every((part) => !part.includes(ANY))) {
    const fast = literalLike(parts.map((part) => String.fromCodePoint(...part)));
    if (fast !== undefined) return fast;
  }
  return generalLike(parts);
}

/** What each text that a pattern matches begins and ends with; `whole`: it is that very text. */
export interface FixedEnds {
  readonly prefix: string;
  readonly suffix: string;
  readonly whole: boolean;
}

export function fixedEnds(pattern: string): FixedEnds {
  const parts = partsOf(pattern);
  const [first = [], last = []] = [parts[0], parts.at(-1)];
  const prefix = first.includes(ANY) ? first.slice(0, first.indexOf(ANY)) : first;
  const suffix = last.slice(last.lastIndexOf(ANY) + 1);
  return {
    prefix: String.fromCodePoint(...prefix),
    suffix: String.fromCodePoint(...suffix),
    whole: parts.length === 1 && prefix.length === first.length,
  };
}

function partsOf(pattern: string): Part[] {
  const parts: number[][] = [[]];
  const characters = Array.from(pattern);
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? '';
    const next = characters[i + 1];
    const escapes = character === '\\' && (next === '%' || next === '_');
    if (escapes) i++;
    if (character === '%') parts.push([]);
    else {
      const literal = escapes ? (next ?? '') : character;
      const any = character === '_' ? ANY : (literal.codePointAt(0) ?? 0);
      parts.at(-1)?.push(any);
    }
  }
  return parts;
}

/** The patterns that people write; undefined when something lies between two `%`. */
function literalLike(parts: readonly string[]): ((text: string) => boolean) | undefined {
  const [first = '', last = ''] = [parts[0], parts.at(-1)];
  if (parts.length === 1) return (text) => text === first;
  if (parts.slice(1, -1).some((part) => part !== '')) return undefined;
  if (last === '') return (text) => text.startsWith(first);
  if (first === '') return (text) => text.endsWith(last);
  const least = first.length + last.length;
  return (text) => text.length >= least && text.startsWith(first) && text.endsWith(last);
}

/** The first part at the beginning, the last at the end, each one between as early as it can be. */
function generalLike(parts: readonly Part[]): (text: string) => boolean {
  const first = parts[0] ?? [];
  const last = parts.length === 1 ? [] : (parts.at(-1) ?? []);
  const between = parts.slice(1, -1).filter((part) => part.length > 0);
  const finders = between.map((part) => new PartFinder(part));
  const least = parts.reduce((sum, part) => sum + part.length, 0);
  const exactly = parts.length === 1;
  return (text) => {
    if (text.length < least) return false;
    const codes = hasSurrogates(text) ? codePoints(text) : codeUnits(text);
    const { length } = codes;
    if (length < least || (exactly && length !== least)) return false;
    const end = length - last.length;
    if (!isAt(codes, 0, first) || !isAt(codes, end, last)) return false;
    let at = first.length;
    for (const finder of finders) {
      at = finder.endIn(codes, at, end);
      if (at === -1) return false;
    }
    return true;
  };
}

function codePoints(text: string): Uint32Array {
  const codes = new Uint32Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.codePointAt(at) ?? 0;
    if (code > 0xffff) at++;
    codes[length++] = code;
  }
  return codes.subarray(0, length);
}

function codeUnits(text: string): Uint32Array {
  const codes = new Uint32Array(text.length);
  for (let at = 0; at < text.length; at++) codes[at] = text.charCodeAt(at);
  return codes;
}

function isAt(codes: Uint32Array, at: number, part: Part): boolean {
  for (let i = 0; i < part.length; i++) {
    const want = part[i];
    if (want !== ANY && want !== codes[at + i]) return false;
  }
  return true;
}
