import { describe, expect, it } from '@jest/globals';
import { EmbeddedMesh } from './faults/embedded-mesh.ts';
import { RECOVERY_MS, REPEATS_OF_A_DEAD_OWNER, type Judge } from './faults/judge.ts';
import { CREDIT, type Load } from './faults/load.ts';
import { underLoad } from './faults/under-load.ts';

const TEST_MS = 60_000;
/** Drain deadline of a site. */
const DRAIN_MS = 20_000;

let mesh: EmbeddedMesh;
let load: Load;
let judge: Judge;

underLoad('faults-embedded', EmbeddedMesh.start, (parts) => ({ mesh, load, judge } = parts));

describe('two sites of one process each under load', () => {
  it.each([
    ['west', 0],
    ['east', REPEATS_OF_A_DEAD_OWNER],
  ] as const)(
    'lose nothing when %s is killed and comes back from disk',
    async (name, repeatsMax) => {
      await load.accepts(100, RECOVERY_MS);
      await mesh.site(name).kill();
      await mesh.site(name).start();
      await judge.recovers({ repeatsMax });
    },
    TEST_MS,
  );

  it.each([
    ['west', 0],
    // A subscription that is given up in order repeats only what the consumer held.
    ['east', CREDIT],
  ] as const)(
    'lose nothing when %s is told to stop with publishes in flight, and it exits 0 in time',
    async (name, repeatsMax) => {
      await load.accepts(100, RECOVERY_MS);
      const from = performance.now();
      expect(await mesh.site(name).end('SIGTERM')).toBe(0);
      expect(performance.now() - from).toBeLessThan(DRAIN_MS);
      await mesh.site(name).start();
      await judge.recovers({ repeatsMax });
    },
    TEST_MS,
  );

  it(
    'lose nothing when both are killed at once',
    async () => {
      await load.accepts(100, RECOVERY_MS);
      await Promise.all([mesh.site('west').kill(), mesh.site('east').kill()]);
      await Promise.all([mesh.site('west').start(), mesh.site('east').start()]);
      await judge.recovers({ repeatsMax: REPEATS_OF_A_DEAD_OWNER });
    },
    TEST_MS,
  );
});
