/**
 * Makes what the images hold, one folder per app: `npx node deploy/images/src/bundle.ts [APP...]` writes
 * dist/images/<app>/main.mjs and beside it what the app needs as files: lmdb.node, and `static`
 * with the OpenAPI page. Without names it takes every app that has a src/main.ts. `--out DIR`
 * writes elsewhere.
 */
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import {
  etcd3Protos,
  evaluatingInputs,
  evaluatingModules,
  nativeModules,
  openApiPage,
} from './plugins.ts';

const workspace = resolve(import.meta.dirname, '../../..');

/** CommonJS packages inside an ES module ask for Node's own modules through this. */
const BANNER =
  "import { createRequire as __createRequire } from 'node:module';\n" +
  'const require = __createRequire(import.meta.url);';

/** Names of the apps that can be bundled. */
function bundledApps(): string[] {
  const apps = readdirSync(join(workspace, 'apps')).sort();
  return apps.filter((app) => existsSync(entryOf(app)));
}

const entryOf = (app: string): string => join(workspace, 'apps', app, 'src/main.ts');

async function bundle(app: string, out: string): Promise<void> {
  const folder = join(out, app);
  rmSync(folder, { recursive: true, force: true });
  const main = join(folder, 'main.mjs');
  const beside = new Map<string, string>();
  const { metafile } = await build({
    absWorkingDir: workspace,
    metafile: true,
    entryPoints: [entryOf(app)],
    outfile: main,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: BANNER },
    inject: [join(import.meta.dirname, 'commonjs-names.ts')],
    legalComments: 'eof',
    keepNames: true,
    logLevel: 'error',
    plugins: [nativeModules(beside), evaluatingModules(), etcd3Protos(), openApiPage(beside)],
  });
  const evaluating = evaluatingInputs(metafile, workspace);
  if (evaluating.length > 0) {
    throw new Error(`${app}: cannot be bundled safely, for it uses eval: ${evaluating.join(', ')}`);
  }
  for (const [name, from] of beside) cpSync(from, join(folder, name), { recursive: true });
  // The image's user owns nothing and writes nothing.
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o444);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string', default: join(workspace, 'dist/images') } },
});
const known = bundledApps();
const unknown = positionals.filter((app) => !known.includes(app));
if (unknown.length > 0) {
  process.stderr.write(`no app ${unknown.join(', ')}; there are ${known.join(', ')}\n`);
  process.exit(64);
}
for (const app of positionals.length > 0 ? positionals : known) {
  await bundle(app, resolve(values.out));
  process.stdout.write(`${join(values.out, app)}\n`);
}
