import { invalid } from '@eventmesh/errors';

/** Typed reading of a parsed query; a name that nobody asked for is an error. */
export class Query {
  readonly #given: Readonly<Record<string, string | string[] | undefined>>;

  constructor(given: unknown, known: readonly string[]) {
    this.#given = (given ?? {}) as Record<string, string | string[]>;
    for (const name in this.#given) {
      if (!known.includes(name)) {
        throw invalid(name.slice(0, 64), `is not a parameter here; known are ${known.join(', ')}`);
      }
    }
  }

  text(name: string): string | undefined {
    const value = this.#given[name];
    if (Array.isArray(value)) throw invalid(name, 'is there twice');
    if (value?.includes('\ufffd') === true) throw invalid(name, 'is not percent-encoded UTF-8');
    return value;
  }

  texts(name: string): readonly string[] {
    const value = this.#given[name];
    if (value === undefined) return [];
    const list = Array.isArray(value) ? value : [value];
    if (list.some((text) => text.includes('\ufffd'))) {
      throw invalid(name, 'is not percent-encoded UTF-8');
    }
    return list;
  }

  choice<const C extends string>(name: string, choices: readonly C[], otherwise: C): C {
    const value = this.text(name);
    if (value === undefined) return otherwise;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw invalid(name, `is not one of ${choices.join(', ')}`);
    return found;
  }

  integer(name: string, min: number, max: number, otherwise: number): number {
    const value = this.text(name);
    if (value === undefined) return otherwise;
    const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) {
      throw invalid(name, 'is not an integer within bounds', { limit: `${min} to ${max}` });
    }
    return number;
  }

  boolean(name: string): boolean {
    return this.choice(name, ['true', 'false'], 'false') === 'true';
  }
}
