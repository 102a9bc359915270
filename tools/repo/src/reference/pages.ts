import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configurationPage } from './configuration.ts';
import { decisionsPage } from './decisions.ts';
import { errorsPage } from './errors.ts';
import { grpcPage } from './grpc.ts';
import { WORKSPACE } from './load.ts';
import { metricsPage } from './metrics.ts';
import { queuesPage } from './queues.ts';

/** The generated pages of docs, by path. */
export const REFERENCE_PAGES: Readonly<Record<string, () => string | Promise<string>>> =
  Object.freeze({
    'docs/adr/README.md': decisionsPage,
    'docs/reference/configuration.md': configurationPage,
    'docs/reference/errors.md': errorsPage,
    'docs/reference/grpc.md': grpcPage,
    'docs/reference/metrics.md': metricsPage,
    'docs/reference/queues.md': queuesPage,
  });

/** Writes every page anew; answers the paths of those that changed. */
export async function writeReference(): Promise<string[]> {
  return visit((path, text) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  });
}

/** The paths of the pages that are not what the sources say; none when all are true. */
export const staleReference = (): Promise<string[]> => visit(() => undefined);

async function visit(change: (path: string, text: string) => void): Promise<string[]> {
  const changed: string[] = [];
  for (const [name, render] of Object.entries(REFERENCE_PAGES)) {
    const path = join(WORKSPACE, name);
    const text = await render();
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
    change(path, text);
    changed.push(name);
  }
  return changed;
}
