import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DurabilityProfile } from '@eventmesh/store-api';
import { seededRandom, tempDir } from '@eventmesh/testing';
import { LOG_SPEC } from '../load.ts';
import { loopImage, type LoopImage } from './loop-image.ts';
import { Producers } from './producers.ts';
import { startSite, type Site, type SiteKind } from '../site.ts';
import { problemsOf } from './verify.ts';

const LANES = 8;

export interface CutReport {
  readonly seed: number;
  readonly cuts: number;
  /** Records acknowledged before a cut, over all cuts. */
  readonly acked: number;
  /** What was wrong after the cut that ended it; empty when all of them were survived. */
  readonly problems: readonly string[];
  /** What the gateway says of its store. */
  readonly profile: DurabilityProfile;
  /** Classes that receipts named. */
  readonly classes: readonly string[];
}

/**
 * Cuts the power of a site that is under load, at random instants, one time after the other: each
 * time it comes back on what was on the disk, everything acknowledged so far is looked for, and the
 * load goes on. Ends with the first cut that lost something.
 */
export async function cutPower(kind: SiteKind, cuts: number, seed: number): Promise<CutReport> {
  const random = seededRandom(seed);
  const image = loopImage();
  const config = tempDir('power-cut-config');
  const producers = new Producers(LANES);
  let site: Site | undefined;
  try {
    site = await startSite(kind, image.path, join(config.path, '0'));
    const profile = await site.store.profile();
    await site.store.ensureLog(LOG_SPEC);
    let problems: string[] = [];
    let cut = 0;
    for (; cut < cuts && problems.length === 0 && site !== undefined; cut++) {
      producers.start(site.store);
      await moreAcked(producers, random.int(20, 1500));
      await sleep(random.int(0, 15));
      await takePower(site, producers, image);
      site = undefined;
      try {
        site = await startSite(kind, image.path, join(config.path, String(cut + 1)));
        problems = await problemsOf(site.store, producers.acked);
      } catch (error) {
        // A store that refuses to start has lost what it acknowledged, and says so.
        problems = [String(error)];
      }
    }
    const { records, classes } = producers.acked;
    return { seed, cuts: cut, acked: records.size, problems, profile, classes: [...classes] };
  } finally {
    await site?.close();
    image.remove();
    config.remove();
  }
}

async function takePower(site: Site, producers: Producers, image: LoopImage): Promise<void> {
  await site.signal('SIGSTOP');
  image.cut();
  await site.signal('SIGKILL');
  await producers.stop();
  await site.store.close();
  image.restore();
}

/** Waits until so many more are acknowledged; the test's own timeout ends it otherwise. */
async function moreAcked({ acked }: Producers, more: number): Promise<void> {
  const enough = acked.records.size + more;
  while (acked.records.size < enough) await sleep(2);
}
