import { startSite, loadIdentity, planSites } from './index.ts';
import { mkdtempSync } from 'node:fs';
import { runSampleTraffic } from './dev/sample-traffic.ts';
const dir = mkdtempSync('/tmp/ms-');
const id = loadIdentity(dir);
const plan = await planSites({ sites: 2, ports: 0 });
const sites = [];
for (const s of plan.sites) sites.push(await startSite({ site: s.name, dir: `${dir}/${s.name}`, bootstrapFile: id.bootstrapFile, grpcPort: s.grpc, httpPort: s.http, linkToken: id.linkToken, neighbours: plan.sites.filter(o => s.neighbours.includes(o.name)).map(o => ({ site: o.name, address: `127.0.0.1:${o.grpc}` })) }));
const ac = new AbortController();
const t0 = Date.now();
const run = runSampleTraffic({ sites: plan.sites.map((s, i) => [s.name, sites[i]!.addresses] as const), users: id.users, rate: 50, signal: ac.signal, onError: (w, e) => console.log(w, e.message) });
await new Promise(r => setTimeout(r, 4000)); ac.abort(); let t = Date.now(); await run; console.log('sample ended', Date.now() - t);
const stop = async (i: number) => { const t = Date.now(); await sites[i]!.stop(); console.log(i, 'stopped', Date.now() - t); };
if (process.argv[2] === 'both') await Promise.all([stop(0), stop(1)]); else { await stop(0); await stop(1); }
