import type { Budget } from '../budget.ts';
import { ANY, NOWHERE, OVERSPENT, PartFinder, type Part } from './like-part.ts';
import { SQL_TEXT_MAX } from './functions.ts';
import { hasSurrogates } from './text.ts';

/**
 * Compiles a LIKE pattern: `%` is any number of characters, `_` one, and a backslash before either
 * takes it literally. A match costs at most the length of the text times that of the pattern
 * divided by 32, whatever the two are: there is nothing to go back to. Undefined when the budget has
 * no steps left for it.
 */
export function compileLike(pattern: string, budget: Budget): LikeTest {
  const parts = partsOf(pattern);
  if (parts.every((part) => !part.includes(ANY))) {
    const fast = literalLike(parts.map((part) => String.fromCodePoint(...part)));
    if (fast !== undefined) return fast;
  }
  return generalLike(parts, budget);
}

type LikeTest = (text: string) => boolean | undefined;

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
function generalLike(parts: readonly Part[], budget: Budget): LikeTest {
  const first = parts[0] ?? [];
  const last = parts.length === 1 ? [] : (parts.at(-1) ?? []);
  const between = parts.slice(1, -1).filter((part) => part.length > 0);
  const finders = between.map((part) => new PartFinder(part));
  const least = parts.reduce((sum, part) => sum + part.length, 0);
  const exactly = parts.length === 1;
  return (text) => {
    if (text.length < least) return false;
    if (!budget.spend(text.length)) return undefined;
    const codes = text.length <= CODES.length ? CODES : new Uint32Array(text.length);
    const length = hasSurrogates(text) ? codePoints(text, codes) : codeUnits(text, codes);
    if (length < least || (exactly && length !== least)) return false;
    const end = length - last.length;
    if (!isAt(codes, 0, first) || !isAt(codes, end, last)) return false;
    let at = first.length;
    for (const finder of finders) {
      at = finder.endIn(codes, at, end, budget);
      if (at === NOWHERE) return false;
      if (at === OVERSPENT) return undefined;
    }
    return true;
  };
}

/** For all texts in turn, none of which is longer in an expression. */
const CODES = new Uint32Array(SQL_TEXT_MAX);

/** Writes a text's characters; returns how many there are. */
function codePoints(text: string, into: Uint32Array): number {
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.codePointAt(at) ?? 0;
    if (code > 0xffff) at++;
    into[length++] = code;
  }
  return length;
}

function codeUnits(text: string, into: Uint32Array): number {
  for (let at = 0; at < text.length; at++) into[at] = text.charCodeAt(at);
  return text.length;
}

function isAt(codes: Uint32Array, at: number, part: Part): boolean {
  for (let i = 0; i < part.length; i++) {
    const want = part[i];
    if (want !== ANY && want !== codes[at + i]) return false;
  }
  return true;
}
