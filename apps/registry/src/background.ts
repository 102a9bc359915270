import { MeshError } from '@eventmesh/errors';
import { Backoff, type Clock } from '@eventmesh/time';
import { Coalesced } from './coalesced.ts';

/**
 * Keeps something in the store equal to what the state says it should be: `poke` after any change
 * that may matter; a failed run is told and repeated with backoff until it succeeds.
 */
export class Background {
  readonly #work: Coalesced;
  readonly #clock: Clock;
  readonly #onError: (error: MeshError) => void;
  readonly #backoff = new Backoff({ maxMs: 2000 });
  #cancelRetry: () => void = () => undefined;
  #closed = false;

  constructor(task: () => Promise<void>, clock: Clock, onError: (error: MeshError) => void) {
    this.#work = new Coalesced(async () => {
      if (!this.#closed) await task();
    });
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Starts a run, now or after the present one; failures are retried. */
  poke(): void {
    this.#work.run().then(
      () => this.#backoff.reset(),
      (error: unknown) => {
        if (this.#closed) return;
        this.#onError(MeshError.from(error));
        this.pokeAfter(this.#backoff.nextMs());
      },
    );
  }

  pokeAfter(delayMs: number): void {
    this.#cancelRetry();
    if (this.#closed) return;
    this.#cancelRetry = this.#clock.setTimer(delayMs, () => this.poke());
  }

  /** A run that begins after this call; throws when it fails. */
  run(): Promise<void> {
    return this.#work.run();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry();
    await this.#work.idle();
  }
}
