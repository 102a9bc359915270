import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { ConfigProblem, secret as secretEntry, type Entry } from './spec.ts';

/** A value that prints as `***` wherever it ends up; `reveal` is the only way to it. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [inspect.custom](): string {
    return '***';
  }
}

/** A secret from a mounted file (trailing line break removed) or, for development, a value. */
export function secret(about: string): Entry<Secret> {
  return secretEntry(about, ((given: { file?: string; value?: string }, path: string) => {
    if (given.value !== undefined) return new Secret(given.value);
    try {
      const text = readFileSync(given.file ?? '', 'utf8').replace(/\r?\n$/, '');
      if (text === '') throw new Error('the file is empty');
      return new Secret(text);
    } catch (error) {
      throw new ConfigProblem([`${path}.file: ${given.file}: ${(error as Error).message}`]);
    }
  }) as never);
}
