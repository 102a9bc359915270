import type { Entry } from '@eventmesh/delivery';
import type { Ending } from './runner-deps.ts';

/** Events of one way to end that are told together at most. */
const EVENTS_MAX = 1024;

/** Gathers events that end one by one, so that they are told in few words. */
export class Endings {
  readonly #tell: (entries: readonly Entry[], how: Ending) => void;
  readonly #gathered = new Map<Ending, Entry[]>();

  constructor(tell: (entries: readonly Entry[], how: Ending) => void) {
    this.#tell = tell;
  }

  add(entry: Entry, how: Ending): void {
    const own = this.#gathered.get(how);
    if (own === undefined) this.#gathered.set(how, [entry]);
    else if (own.push(entry) === EVENTS_MAX) this.flush();
  }

  /** Tells what has gathered. */
  flush(): void {
    for (const [how, entries] of this.#gathered) this.#tell(entries, how);
    this.#gathered.clear();
  }
}
