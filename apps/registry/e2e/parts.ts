import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import { prefixed } from '@eventmesh/kv-api';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { fakeClock, tempDir, type FakeClock } from '@eventmesh/testing';
import { stateRoot } from '../src/keys.ts';
import { REGISTRY_METRICS } from '../src/metrics.ts';
import type { Parts } from '../src/parts.ts';
import { RegistryState } from '../src/state.ts';

export interface TestParts extends Parts {
  readonly clock: FakeClock;
  /** Fails the test when a part told of an error that nobody expected. */
  readonly errors: unknown[];
  readonly values: Metrics;
  close(): Promise<void>;
}

/** What the parts of a registry stand on: an embedded store and a clock that the test moves. */
export async function testParts(site: string): Promise<TestParts> {
  const dir = tempDir('registry-parts');
  const store = await openEmbeddedKv({ dir: dir.path });
  const kv = prefixed(store, stateRoot(site));
  const clock = fakeClock();
  const errors: unknown[] = [];
  const state = new RegistryState(kv, { clock, onError: (error) => errors.push(error) });
  const values = new Metrics();
  return {
    site,
    kv,
    state,
    clock,
    errors,
    values,
    log: createLogger({ level: 'silent', service: 'test' }),
    metrics: values.use(REGISTRY_METRICS),
    measure: (queue, fill) => values.measure(queue, fill),
    async close() {
      await state.close();
      await store.close();
      dir.remove();
    },
  };
}
