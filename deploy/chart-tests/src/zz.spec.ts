import { it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { imageRoot, startImage, type RunningImage } from './image.ts';
it('x', async () => {
  const image = imageRoot();
  const ws = join(import.meta.dirname, '../../..');
  spawnSync(process.execPath, [join(ws, 'deploy/images/bundle.ts'), 'registry', 'acl', 'store-gateway', 'governance', 'emesher', '--out', join(image.root, 'app')]);
  const running: [string, RunningImage][] = [];
  const start = async (name: string, own: object) => {
    const file = join(image.root, name + '.yaml');
    writeFileSync(file, stringify({ site: 'west', grpc: { port: 0 }, admin: { port: 0 }, ...own })); chmodSync(file, 0o444);
    const t = Date.now();
    const r = await startImage(join(image.root, 'app', name), ['--config', file]);
    process.stderr.write(`${name} start ${Date.now() - t}\n`);
    running.unshift([name, r]);
    return { address: r.addresses['grpc'] };
  };
  const kv = (n: string) => ({ kv: { kind: 'embedded', dir: image.writable(n) } });
  const registry = await start('registry', kv('r'));
  const acl = await start('acl', kv('a'));
  const store = await start('store-gateway', { store: { kind: 'embedded', dir: image.writable('s') } });
  const governance = await start('governance', { ...kv('g'), services: { acl, store } });
  await start('emesher', { http: { port: 0 }, services: { registry, acl, store, governance } });
  for (const [n, r] of running) { const t = Date.now(); const c = await r.stop(); process.stderr.write(`${n} stop ${c} ${Date.now() - t}\n`); }
  image.remove();
}, 60000);
