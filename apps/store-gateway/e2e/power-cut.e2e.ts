import { describe, expect, it } from '@jest/globals';
import { cutPower, type CutReport } from './power-cut/cuts.ts';
import { missingLoopSupport } from './power-cut/loop-image.ts';
import type { SiteKind } from './site.ts';

/*
 * A few cuts each time; for more, or for the very same ones again:
 *
 *   node tools/repo/src/jest.ts apps/store-gateway power-cut --globals '{"powerCuts":{"cuts":20,"seed":7}}'
 */
const { cuts = 4, seed = Date.now() % 1_000_000 } =
  (globalThis as { powerCuts?: { cuts?: number; seed?: number } }).powerCuts ?? {};

const missing = missingLoopSupport();
const cutting = missing === undefined ? it : it.skip;

describe('a power cut at any instant under load', () => {
  if (missing !== undefined) {
    process.stderr.write(`\n*** POWER CUTS ARE NOT TESTED HERE: ${missing} ***\n\n`);
  }

  const timeoutMs = 30_000 + cuts * 15_000;
  const cut = async (kind: SiteKind): Promise<CutReport> => {
    process.stderr.write(`${cuts} power cuts of ${kind}, seed ${seed}\n`);
    const report = await cutPower(kind, cuts, seed);
    process.stderr.write(`survived ${report.cuts}, ${report.acked} records acknowledged\n`);
    return report;
  };

  cutting.each<SiteKind>(['embedded', 'jetstream'])(
    'loses nothing that %s has acknowledged, as fsync',
    async (kind) => {
      const report = await cut(kind);
      expect(report).toMatchObject({ seed, cuts, problems: [], classes: ['fsync'] });
      expect(report.profile).toMatchObject({ durability: 'fsync', warnings: [] });
      expect(report.acked).toBeGreaterThan(cuts * 20);
    },
    timeoutMs,
  );

  cutting(
    'loses records of a nats-server with lazy syncs, which were acknowledged as page-cache only',
    async () => {
      const report = await cut('jetstream with lazy syncs');
      expect(report.problems.join()).toMatch(/acknowledged records/);
      expect(report.classes).toEqual(['page-cache']);
      expect(report.profile.durability).toBe('page-cache');
      expect(report.profile.warnings.join()).toContain('sync_interval: always');
    },
    timeoutMs,
  );
});
