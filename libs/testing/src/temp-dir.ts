import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TempDir extends Disposable {
  readonly path: string;
  /** Removes the folder and what is in it. May be called twice. */
  remove(): void;
}

/** A new empty folder; also removed when the process ends without having removed it. */
export function tempDir(label = 'test', parent = tmpdir()): TempDir {
  const path = realpathSync(mkdtempSync(join(parent, `eventmesh-${label}-`)));
  const remove = () => {
    process.removeListener('exit', remove);
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', remove);
  return { path, remove, [Symbol.dispose]: remove };
}
