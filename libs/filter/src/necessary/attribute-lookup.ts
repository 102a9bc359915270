import type { EventView } from '@eventmesh/event';
import { attributeReader } from '../attribute-reader.ts';
import type { Atom } from './condition.ts';

/** Values by text. A list for each, since nearly all texts have one value. */
type ByText<T> = Map<string, T[]>;

/** Affixes of one length. */
interface OfLength<T> {
  readonly length: number;
  readonly texts: ByText<T>;
}

/**
 * Values by what they ask of one attribute: an event's text is looked up once as it is, and once
 * for each length of prefixes and of suffixes that somebody has asked for.
 */
export class AttributeLookup<T> {
  readonly #read: (event: EventView) => string | undefined;
  readonly #exact: ByText<T> = new Map();
  /** By rising length. */
  readonly #prefixes: OfLength<T>[] = [];
  readonly #suffixes: OfLength<T>[] = [];
  #size = 0;

  constructor(attribute: string) {
    this.#read = attributeReader(attribute);
  }

  /** How many (atom, value) pairs there are. */
  get size(): number {
    return this.#size;
  }

  add(atom: Atom, value: T): void {
    const texts = this.#textsOf(atom) ?? this.#addLength(atom);
    const values = texts.get(atom.text);
    if (values === undefined) texts.set(atom.text, [value]);
    else values.push(value);
    this.#size++;
  }

  remove(atom: Atom, value: T): void {
    const texts = this.#textsOf(atom);
    const values = texts?.get(atom.text);
    const at = values?.indexOf(value) ?? -1;
    if (texts === undefined || values === undefined || at === -1) return;
    const last = values.pop();
    if (last !== undefined && at < values.length) values[at] = last;
    this.#size--;
    if (values.length > 0) return;
    texts.delete(atom.text);
    if (texts.size === 0) this.#removeLength(atom);
  }

  /** How many values lie under an atom. */
  count(atom: Atom): number {
    return this.#textsOf(atom)?.get(atom.text)?.length ?? 0;
  }

  match(event: EventView, found: Set<T>): void {
    const text = this.#read(event);
    if (text === undefined) return;
    addAll(this.#exact.get(text), found);
    for (const { length, texts } of this.#prefixes) {
      if (length > text.length) break;
      addAll(texts.get(text.slice(0, length)), found);
    }
    for (const { length, texts } of this.#suffixes) {
      if (length > text.length) break;
      addAll(texts.get(text.slice(text.length - length)), found);
    }
  }

  #lengthsOf(kind: 'prefix' | 'suffix'): OfLength<T>[] {
    return kind === 'prefix' ? this.#prefixes : this.#suffixes;
  }

  #textsOf({ kind, text }: Atom): ByText<T> | undefined {
    if (kind === 'exact') return this.#exact;
    return this.#lengthsOf(kind).find(({ length }) => length === text.length)?.texts;
  }

  #addLength({ kind, text }: Atom): ByText<T> {
    if (kind === 'exact') return this.#exact;
    const texts: ByText<T> = new Map();
    const lengths = this.#lengthsOf(kind);
    lengths.push({ length: text.length, texts });
    lengths.sort((a, b) => a.length - b.length);
    return texts;
  }

  #removeLength({ kind, text }: Atom): void {
    if (kind === 'exact') return;
    const lengths = this.#lengthsOf(kind);
    lengths.splice(
      lengths.findIndex(({ length }) => length === text.length),
      1,
    );
  }
}

function addAll<T>(values: readonly T[] | undefined, found: Set<T>): void {
  if (values === undefined) return;
  for (const value of values) found.add(value);
}
