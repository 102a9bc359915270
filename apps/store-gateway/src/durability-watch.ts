import { MeshError } from '@eventmesh/errors';
import { atLeast, type DurabilityProfile, type EventStore } from '@eventmesh/store-api';
import type { LiveMetrics, Logger } from '@eventmesh/telemetry';
import type { StoreGatewaySettings } from './config.ts';
import type { STORE_METRICS } from './metrics.ts';

/**
 * Knows how strong the live store is: asked at start and from time to time, told in metric and log
 * when it changes, and refusing durable work when strict.
 */
export class DurabilityWatch {
  readonly #store: EventStore;
  readonly #settings: StoreGatewaySettings['durability'];
  readonly #metrics: LiveMetrics<typeof STORE_METRICS>;
  readonly #log: Logger;
  #profile: DurabilityProfile | undefined;
  #told = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(
    store: EventStore,
    settings: StoreGatewaySettings['durability'],
    metrics: LiveMetrics<typeof STORE_METRICS>,
    log: Logger,
  ) {
    this.#store = store;
    this.#settings = settings;
    this.#metrics = metrics;
    this.#log = log;
  }

  get strict(): boolean {
    return this.#settings.strict;
  }

  async start(): Promise<void> {
    await this.verify();
    this.#timer = setInterval(() => {
      this.verify().catch((error: unknown) => {
        this.#metrics.weak.set(1);
        this.#log.warn({ err: error }, 'the durability of the store could not be verified');
      });
    }, this.#settings.verifyEvery);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Asks the store now. */
  async verify(): Promise<DurabilityProfile> {
    const profile = await this.#store.profile();
    this.#profile = profile;
    this.#tell(profile);
    return profile;
  }

  /** @throws MeshError FailedPrecondition when strict and the store is too weak. */
  check(): void {
    if (!this.#settings.strict || this.#profile === undefined) return;
    const { durability, warnings } = this.#profile;
    if (atLeast(durability, this.#settings.required)) return;
    throw new MeshError(
      'FailedPrecondition',
      `the store is ${durability} and ${this.#settings.required} is required: ` +
        (warnings[0] ?? 'Use a stronger store or a lower durability.required.'),
      {
        reason: 'DURABILITY_WEAK',
        facts: { durability, required: this.#settings.required },
      },
    );
  }

  #tell({ store, durability, evidence, warnings }: DurabilityProfile): void {
    const { required } = this.#settings;
    const weak = !atLeast(durability, required);
    this.#metrics.durability.reset();
    this.#metrics.durability.set({ store, durability, required }, 1);
    this.#metrics.weak.set(weak ? 1 : 0);
    const told = JSON.stringify([durability, warnings]);
    if (told === this.#told) return;
    this.#told = told;
    const facts = { store, durability, required, evidence, warnings };
    if (weak) this.#log.warn(facts, 'the store is weaker than required');
    else this.#log.info(facts, 'the durability of the store was verified');
  }
}
