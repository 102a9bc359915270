import { SqlSyntaxError } from './syntax-error.ts';

/**
 * `word`: a keyword, an identifier, a function's name or digits; in upper case.
 * `text`: a string literal; the value without quotes. `symbol`: an operator, a bracket, a comma.
 */
export interface Token {
  readonly kind: 'word' | 'text' | 'symbol' | 'end';
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

const SPACE = /[ \t\r\n]*/y;
const WORD = /[A-Za-z0-9_]+/y;
const SYMBOL = /<>|<=|>=|!=|[-+*/%=<>(),]/y;

/** @throws SqlSyntaxError that says where. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = match(SPACE, text, 0);
  while (at < text.length) {
    const token = next(text, at);
    tokens.push(token);
    at = match(SPACE, text, token.end);
  }
  tokens.push({ kind: 'end', value: '', start: text.length, end: text.length });
  return tokens;
}

function next(text: string, start: number): Token {
  const first = text[start];
  if (first === "'" || first === '"') return textToken(text, start, first);
  let end = match(WORD, text, start);
  if (end > start) {
    return { kind: 'word', value: text.slice(start, end).toUpperCase(), start, end };
  }
  end = match(SYMBOL, text, start);
  if (end > start) return { kind: 'symbol', value: text.slice(start, end), start, end };
  throw new SqlSyntaxError(start, `${JSON.stringify(first)} does not belong to the language`);
}

/** A backslash keeps the quote after it in the string; before anything else it is itself. */
function textToken(text: string, start: number, quote: string): Token {
  let value = '';
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === quote) return { kind: 'text', value, start, end: at + 1 };
    if (char !== '\\') value += char;
    else {
      const escaped = text[++at] ?? '';
      value += escaped === quote ? quote : `\\${escaped}`;
    }
  }
  throw new SqlSyntaxError(start, `the string that begins here has no closing ${quote}`);
}

/** Where the match of a sticky expression ends; `at` when there is none. */
function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
