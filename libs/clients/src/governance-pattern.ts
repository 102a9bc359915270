import { invalid } from '@eventmesh/errors';

/** Steps that evaluation may still take; shared by everything one validation runs. */
export interface StepBudget {
  left: number;
}

/** Thrown when a validation has used up its steps. */
export class OutOfSteps extends Error {
  constructor() {
    super('the schema takes too many steps on this data');
  }
}

export function spend(budget: StepBudget): void {
  if (--budget.left < 0) throw new OutOfSteps();
}

/** Most instructions of a compiled pattern; counted repetitions are written out. */
const INSTRUCTIONS_MAX = 4000;

/**
 * A regular expression that never backtracks: all its alternatives are followed at once, so that
 * time grows with pattern times text and no more, and each step is counted. It knows what regular
 * expressions in the mathematical sense have; back-references and look-around are refused.
 *
 * @throws MeshError InvalidArgument.
 */
export function linearPattern(
  pattern: string,
  budget: StepBudget,
): { test(text: string): boolean } {
  checkSyntax(pattern);
  const program = new Program();
  program.add(new PatternParser(pattern).parse());
  program.end();
  return { test: (text) => run(program.instructions, text, budget) };
}

/** The engine knows best what is well-formed; afterwards the parser need not ask. */
function checkSyntax(pattern: string): void {
  try {
    RegExp(pattern, 'u');
  } catch (error) {
    throw invalid('pattern', (error as Error).message);
  }
}

type PatternNode =
  | { readonly kind: 'char'; readonly test: CharTest }
  | { readonly kind: 'assert'; readonly holds: Assertion }
  | { readonly kind: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly options: readonly PatternNode[] }
  | {
      readonly kind: 'repeat';
      readonly item: PatternNode;
      readonly min: number;
      readonly max: number;
    };

/** On one code point, as text. */
type CharTest = (char: string) => boolean;
/** Between two code points; undefined at the ends. */
type Assertion = (before: string | undefined, after: string | undefined) => boolean;

const isWord = (char: string | undefined): boolean => char !== undefined && /^\w$/.test(char);
const ASSERTIONS: Readonly<Record<string, Assertion>> = Object.freeze({
  '^': (before: string | undefined) => before === undefined,
  $: (_: string | undefined, after: string | undefined) => after === undefined,
  '\\b': (before: string | undefined, after: string | undefined) =>
    isWord(before) !== isWord(after),
  '\\B': (before: string | undefined, after: string | undefined) =>
    isWord(before) === isWord(after),
});

/** Longest escapes first: a surrogate pair, code points, properties, and then any one character. */
const ESCAPE =
  /\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u\{[^}]*\}|u....|x..|c[A-Za-z]|[pP]\{[^}]*\}|[^])/uy;
const CLASS = /\[(?:\\[^]|[^\]\\])*\]/uy;
const GROUP = /\((?:\?(?::|<(?![=!])[^>]*>))?/y;
const QUANTIFIER = /(?:[*+?]|\{(\d+)(,(\d*))?\})\??/y;

class PatternParser {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): PatternNode {
    const options: PatternNode[] = [];
    do {
      options.push(this.#sequence());
    } while (this.#take('|'));
    return options.length === 1 && options[0] !== undefined
      ? options[0]
      : { kind: 'choice', options };
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = [];
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at] ?? '')) {
      items.push(this.#quantified(this.#item()));
    }
    return { kind: 'sequence', items };
  }

  #item(): PatternNode {
    const source = this.#source;
    if (source[this.#at] === '(') {
      const open = this.#match(GROUP) ?? '(';
      if (source[this.#at] === '?') throw invalid('pattern', 'look-around is not supported');
      const inner = this.parse();
      this.#at += open === '' ? 0 : 1;
      return inner;
    }
    const escape = this.#match(ESCAPE);
    if (escape !== undefined) return escaped(escape);
    const set = this.#match(CLASS);
    if (set !== undefined) return char(set);
    const literal = String.fromCodePoint(source.codePointAt(this.#at) ?? 0);
    this.#at += literal.length;
    const holds = ASSERTIONS[literal];
    if (holds !== undefined) return { kind: 'assert', holds };
    return literal === '.' ? char('.') : { kind: 'char', test: (given) => given === literal };
  }

  #quantified(item: PatternNode): PatternNode {
    QUANTIFIER.lastIndex = this.#at;
    const found = QUANTIFIER.exec(this.#source);
    if (found === null) return item;
    this.#at += found[0].length;
    const [text, low, comma, high] = found;
    if (low === undefined) {
      return {
        kind: 'repeat',
        item,
        min: text[0] === '+' ? 1 : 0,
        max: text[0] === '?' ? 1 : Infinity,
      };
    }
    const max = comma === undefined ? Number(low) : high === '' ? Infinity : Number(high);
    return { kind: 'repeat', item, min: Number(low), max };
  }

  #take(text: string): boolean {
    if (this.#source[this.#at] !== text) return false;
    this.#at++;
    return true;
  }

  #match(token: RegExp): string | undefined {
    token.lastIndex = this.#at;
    const found = token.exec(this.#source)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }
}

function escaped(escape: string): PatternNode {
  const holds = ASSERTIONS[escape];
  if (holds !== undefined) return { kind: 'assert', holds };
  if (/^\\[1-9k]/.test(escape)) throw invalid('pattern', 'back-references are not supported');
  return char(escape);
}

/** One code point against a class, an escape or `.`: that much the engine does in bounded time. */
function char(source: string): PatternNode {
  const one = RegExp(`^${source}$`, 'u');
  const ascii = new Map<string, boolean>();
  const test = (given: string) => {
    if (given.length > 1 || given > '\u007f') return one.test(given);
    let known = ascii.get(given);
    if (known === undefined) ascii.set(given, (known = one.test(given)));
    return known;
  };
  return { kind: 'char', test };
}

type Instruction =
  | { readonly kind: 'char'; readonly test: CharTest }
  | { readonly kind: 'assert'; readonly holds: Assertion }
  /** Goes on at all of these. */
  | { readonly kind: 'fork'; readonly to: number[] }
  | { readonly kind: 'match' };

class Program {
  readonly instructions: Instruction[] = [];

  add(node: PatternNode): void {
    switch (node.kind) {
      case 'char':
      case 'assert':
        this.#push(node);
        return;
      case 'sequence':
        for (const item of node.items) this.add(item);
        return;
      case 'choice':
        this.#choice(node.options);
        return;
      case 'repeat':
        this.#repeat(node.item, node.min, node.max);
    }
  }

  end(): void {
    this.#push({ kind: 'match' });
  }

  #choice(options: readonly PatternNode[]): void {
    const fork = this.#fork();
    const ends: number[][] = [];
    for (const option of options) {
      fork.push(this.instructions.length);
      this.add(option);
      ends.push(this.#fork());
    }
    for (const end of ends) end.push(this.instructions.length);
  }

  #repeat(item: PatternNode, min: number, max: number): void {
    for (let n = 0; n < min; n++) this.add(item);
    if (max === Infinity) {
      const start = this.instructions.length;
      const fork = this.#fork();
      fork.push(this.instructions.length);
      this.add(item);
      this.#fork().push(start);
      fork.push(this.instructions.length);
      return;
    }
    const skips: number[][] = [];
    for (let n = min; n < max; n++) {
      const fork = this.#fork();
      fork.push(this.instructions.length);
      skips.push(fork);
      this.add(item);
    }
    for (const skip of skips) skip.push(this.instructions.length);
  }

  #fork(): number[] {
    const to: number[] = [];
    this.#push({ kind: 'fork', to });
    return to;
  }

  #push(instruction: Instruction): void {
    if (this.instructions.length >= INSTRUCTIONS_MAX) {
      throw invalid('pattern', 'is too large when its repetitions are written out', {
        limit: `${INSTRUCTIONS_MAX} instructions`,
      });
    }
    this.instructions.push(instruction);
  }
}

/** Whether the program matches anywhere in the text (Thompson's simulation). */
function run(instructions: readonly Instruction[], text: string, budget: StepBudget): boolean {
  // At which position an instruction was last reached, so that none is followed twice there.
  const reached = new Int32Array(instructions.length).fill(-1);
  const chars = [...text];
  let current: number[] = [];
  for (let position = 0; position <= chars.length; position++) {
    const before = chars[position - 1];
    const after = chars[position];
    const next: number[] = [];
    const work = [...current, 0];
    // Lists grow while they are read: what a fork leads to is followed at the same position.
    for (let index = 0; index < work.length; index++) {
      const at = work[index] ?? 0;
      if (reached[at] === position) continue;
      reached[at] = position;
      spend(budget);
      const instruction = instructions[at];
      if (instruction === undefined) continue;
      if (instruction.kind === 'match') return true;
      if (instruction.kind === 'fork') work.push(...instruction.to);
      else if (instruction.kind === 'char') {
        if (after !== undefined && instruction.test(after)) next.push(at + 1);
      } else if (instruction.holds(before, after)) work.push(at + 1);
    }
    current = next;
  }
  return false;
}
