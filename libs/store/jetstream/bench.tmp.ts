import { rmSync } from 'node:fs';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import { startNats } from '@eventmesh/tools-provision';
import { openJetStreamStore } from './src/index.ts';
const inflight = Number(process.argv[2] ?? 64),
  per = Number(process.argv[3] ?? 64),
  secs = Number(process.argv[4] ?? 4);
rmSync('/tmp/st/js', { recursive: true, force: true });
const srv = await startNats({ dir: '/tmp/st/js' });
const store = await openJetStreamStore({ servers: [srv.url], monitorUrls: [srv.monitorUrl] });
console.log(await store.profile());
await store.ensureLog({
  name: 'l',
  partitions: 1,
  retentionMs: 0,
  retentionBytes: 0,
  duplicateWindow: 100000,
});
const event = encodeEvent({
  id: 'id-1',
  source: '/source/of/this',
  type: 'com.example.type',
  attributes: [
    ['time', { kind: 'timestamp', seconds: 1700000000, nanos: 0 }],
    ['datacontenttype', { kind: 'string', value: 'application/json' }],
  ],
  data: { kind: 'binary', bytes: Buffer.alloc(1024, 7) },
});
const body = encodeRecord(
  {
    tenant: 'default',
    topic: 'a/b/c',
    principal: 'p',
    originSite: 'west',
    destinations: ['east'],
    ingressTimeUs: 1.7e15,
    hops: [],
  },
  event,
);
let id = 0,
  done = 0;
const lat: number[] = [];
const end = performance.now() + secs * 1000;
const t0 = performance.now();
const c0 = process.cpuUsage();
await Promise.all(
  Array.from({ length: inflight }, async () => {
    while (performance.now() < end) {
      const records = Array.from({ length: per }, () => ({
        bytes: body,
        dedupKey: `default\0/source/of/this\0id-${++id}`,
      }));
      const t = performance.now();
      await store.append({ log: 'l', partition: 0, records });
      lat.push(performance.now() - t);
      done += per;
    }
  }),
);
const s = (performance.now() - t0) / 1000,
  c = process.cpuUsage(c0);
lat.sort((a, b) => a - b);
console.log(
  'rec/s',
  (done / s).toFixed(0),
  'p50',
  lat[lat.length >> 1]!.toFixed(2),
  'p99',
  lat[(lat.length * 0.99) | 0]!.toFixed(2),
  'client cpu/100k',
  (((c.user + c.system) / 1e6 / done) * 1e5).toFixed(2),
);
const r0 = performance.now();
let n = 0;
for await (const i of store.read({
  log: 'l',
  partition: 0,
  from: { kind: 'position', position: 1 },
  stopAtEnd: true,
}))
  if (i.kind === 'batch') n += i.records.length;
console.log('read back', n, ((n / (performance.now() - r0)) * 1000).toFixed(0), '/s');
await store.close();
const s2 = await openJetStreamStore({ servers: [srv.url], monitorUrls: [srv.monitorUrl] });
const l0 = performance.now();
await s2.append({ log: 'l', partition: 0, records: [{ bytes: body, dedupKey: 'zz' }] });
console.log('first append after reopen', performance.now() - l0);
await s2.close();
await srv.stop();
