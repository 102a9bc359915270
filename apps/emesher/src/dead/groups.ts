import type { DeadLetter, DeadLetterGroup } from '@eventmesh/adapter-api';

type Open = { -readonly [K in keyof DeadLetterGroup]: DeadLetterGroup[K] };

/** Groups that are told apart: causes are the consumers' words, and may all differ. */
const GROUPS_MAX = 1000;

/** Counts letters by subscription and cause, those of a deleted subscription apart. */
export class GroupBook {
  readonly #groups = new Map<string, Open>();
  #rest: Open | undefined;

  add(letter: DeadLetter): void {
    const { event, deadMs } = letter;
    const group = this.#of(letter);
    group.count++;
    group.bytes += event.length;
    group.oldestMs = Math.min(group.oldestMs, deadMs);
    group.newestMs = Math.max(group.newestMs, deadMs);
  }

  /** The most frequent first; what is beyond the bound last, without subscription and cause. */
  get groups(): readonly DeadLetterGroup[] {
    const sorted = [...this.#groups.values()].sort((a, b) => b.count - a.count);
    return this.#rest === undefined ? sorted : [...sorted, this.#rest];
  }

  #of({ subscription, subscriptionGone, cause, deadMs }: DeadLetter): Open {
    const key = `${subscription}\0${subscriptionGone}\0${cause}`;
    const found = this.#groups.get(key);
    if (found !== undefined) return found;
    const about = { subscription, subscriptionGone, cause };
    const made = { ...about, count: 0, bytes: 0, oldestMs: deadMs, newestMs: deadMs };
    if (this.#groups.size < GROUPS_MAX - 1) this.#groups.set(key, made);
    else this.#rest ??= { ...made, subscription: '', subscriptionGone: false, cause: '' };
    return this.#groups.get(key) ?? this.#rest ?? made;
  }
}
