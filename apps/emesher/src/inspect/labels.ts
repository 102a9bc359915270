/** What happened, without when and to which event. */
export interface Label {
  readonly step: string;
  readonly subject: string;
  readonly detail: string;
}

interface Used extends Label {
  readonly key: string;
  uses: number;
}

/** Labels by number, each kept once for as long as it is used. */
export class Labels {
  readonly #numbers = new Map<string, number>();
  readonly #labels: (Used | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#numbers.size;
  }

  /** The number of a label, which has one use more. */
  use(step: string, subject: string, detail: string): number {
    const key = `${step}\0${subject}\0${detail}`;
    const known = this.#numbers.get(key);
    const used = known === undefined ? undefined : this.#labels[known];
    if (known !== undefined && used !== undefined) {
      used.uses++;
      return known;
    }
    const number = this.#free.pop() ?? this.#labels.length;
    this.#labels[number] = { step, subject, detail, key, uses: 1 };
    this.#numbers.set(key, number);
    return number;
  }

  /** A label that is used already has one use more. */
  again(number: number): void {
    const used = this.#labels[number];
    if (used !== undefined) used.uses++;
  }

  at(number: number): Label | undefined {
    return this.#labels[number];
  }

  /** It has one use less. */
  release(number: number): void {
    const used = this.#labels[number];
    if (used === undefined || --used.uses > 0) return;
    this.#numbers.delete(used.key);
    this.#labels[number] = undefined;
    this.#free.push(number);
  }
}
