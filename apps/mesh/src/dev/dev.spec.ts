import { createServer } from 'node:net';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { loadIdentity } from './identity.ts';
import { parseMetrics, total } from './metrics-text.ts';
import { planSites } from './plan.ts';
import { sampleOrders } from './sample-orders.ts';
import { joinLinks, snapshotOf } from './snapshot.ts';
import { parseSse } from './sse.ts';
import { meshLine, meshTable } from './table.ts';

describe('the plan of a local mesh', () => {
  it.each([
    [2, false, [['east'], ['west']]],
    [3, false, [['east'], ['west', 'north'], ['east']]],
    [
      3,
      true,
      [
        ['north', 'east'],
        ['west', 'north'],
        ['east', 'west'],
      ],
    ],
  ])('joins %i sites, as a ring: %s', async (sites, ring, neighbours) => {
    const plan = await planSites({ sites, ring, ports: 0 });
    expect(plan.sites.map((site) => site.neighbours)).toEqual(neighbours);
  });

  it('gives every server a port of its own', async () => {
    const { sites } = await planSites({ sites: 8, ports: 0 });
    const ports = sites.flatMap(({ http, grpc, admin }) => [http, grpc, admin]);
    expect(new Set(ports).size).toBe(24);
  });

  it('takes none that a connection may get before the server binds it, or that fetch calls nobody at', async () => {
    for (let times = 0; times < 20; times++) {
      const { sites } = await planSites({ sites: 16, ports: 0 });
      for (const { http, grpc, admin } of sites) {
        expect(Math.max(http, grpc, admin)).toBeLessThan(32_768);
        expect(Math.min(http, grpc, admin)).toBeGreaterThan(10_080);
      }
    }
  });

  it('takes a free port where the wanted one is taken, and says so', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const plan = await planSites({ sites: 1, ports: port });
    expect(plan.sites[0]?.http).not.toBe(port);
    expect(plan.moved).toEqual([{ wanted: port, got: plan.sites[0]?.http }]);
    await new Promise((resolve) => taken.close(resolve));
  });

  it('refuses a ring of two', async () => {
    await expect(planSites({ sites: 2, ring: true, ports: 0 })).rejects.toThrow(/at least 3/);
  });
});

describe('the identity of a local mesh', () => {
  it('is generated once, kept, and readable by its owner alone', () => {
    const dir = mkdtempSync(join(tmpdir(), 'mesh-identity-'));
    try {
      const made = loadIdentity(dir);
      const found = loadIdentity(dir);
      expect(made.fresh).toBe(true);
      expect(found).toEqual({ ...made, fresh: false });
      expect(new Set(Object.values(made.users)).size).toBe(3);
      for (const file of ['identity.json', 'users.yaml']) {
        expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600);
      }
      expect(readFileSync(made.bootstrapFile, 'utf8')).toContain('role:publisher');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

const METRICS = `# HELP eventmesh_events_accepted_total x
eventmesh_events_accepted_total{tenant="default",class="durable"} 12
eventmesh_events_accepted_total{tenant="a \\"b\\"",class="direct"} 3
eventmesh_subscription_delivered_total{tenant="default",subscription="s"} 7
eventmesh_subscription_filtered_total{tenant="default",subscription="s"} 4
eventmesh_subscription_held{tenant="default",subscription="s"} 2
eventmesh_subscription_dead_lettered_total{tenant="default",subscription="s"} 1
eventmesh_protocol_events_accepted_total{protocol="http"} 5
eventmesh_protocol_events_accepted_total{protocol="grpc"} 9
eventmesh_protocol_events_delivered_total{protocol="grpc"} 7
eventmesh_protocol_events_filtered_total{protocol="grpc"} 4
eventmesh_protocol_events_held{protocol="grpc"} 2
eventmesh_protocol_events_dead_lettered_total{protocol="grpc"} 1
eventmesh_link_up{to="east"} 1
eventmesh_link_taken_total{to="east"} 20
eventmesh_link_delivered_total{to="east"} 15
eventmesh_link_filtered_total{to="east"} 6
eventmesh_link_expired_total{to="east"} 1
eventmesh_link_held{to="east"} 4
eventmesh_link_sent_total{to="east"} 19
eventmesh_link_accepted_total{to="east"} 15
eventmesh_link_unaccepted_bytes{to="east"} 1024
nodejs_heap 1.5e+06
`;
const EAST = `eventmesh_link_dropped_total{from="west",reason="loop"} 2
eventmesh_link_dropped_total{from="west",reason="hops"} 1
`;

describe('the live table', () => {
  const samples = parseMetrics(METRICS);

  it('reads the Prometheus text format', () => {
    expect(total(samples, 'eventmesh_events_accepted_total')).toBe(15);
    expect(total(samples, 'eventmesh_events_accepted_total', { tenant: 'a "b"' })).toBe(3);
    expect(total(samples, 'nodejs_heap')).toBe(1_500_000);
    expect(total(samples, 'nothing')).toBe(0);
  });

  it('has a row for each site, protocol and link', () => {
    const site = snapshotOf('west', samples);
    expect(site).toMatchObject({ accepted: 15, delivered: 7, held: 2 });
    const text = meshTable([site, { ...snapshotOf('east', []), answers: false }]);
    expect(text).toMatch(/west +all +15 +7 +4 +2 +1/);
    expect(text).toMatch(/ +grpc +9 +7 +4 +2 +1/);
    expect(text).toMatch(/ +http +5 +0 +0 +0 +0/);
    expect(text).toMatch(/east \(away\)/);
    expect(text).toMatch(/west → east +up +20 +15 +6 +4 +1/);
  });

  it('has columns that add up: what came through no protocol has a row of its own', () => {
    const { protocols, ...all } = snapshotOf('west', samples);
    expect(protocols.map(({ protocol }) => protocol)).toEqual(['grpc', 'http', '(none)']);
    for (const kind of ['accepted', 'delivered', 'filtered', 'held', 'deadLettered'] as const) {
      expect(protocols.reduce((sum, row) => sum + row[kind], 0)).toBe(all[kind]);
    }
    const through = parseMetrics(METRICS.replace(/class="direct"} 3/, 'class="direct"} 2'));
    expect(snapshotOf('west', through).protocols).toHaveLength(2);
  });

  it('counts what the neighbour has refused as given up on the link', () => {
    const sites = [snapshotOf('west', samples), snapshotOf('east', parseMetrics(EAST))];
    const [link] = joinLinks(sites)[0]?.links ?? [];
    expect(link).toMatchObject({ accepted: 20, delivered: 12, held: 4, deadLettered: 4 });
  });

  it('is one line where nobody can redraw', () => {
    const line = meshLine([snapshotOf('west', samples)], new Date(0));
    expect(line).toMatch(/^00:00:00 {2}west: accepted 15 .* \| west→east 15 \(4 held\)$/);
  });
});

describe('the sample orders', () => {
  it('are created, then paid, then shipped, each for one customer', () => {
    let seed = 7;
    const random = () => ((seed = (seed * 16_807) % 2_147_483_647) - 1) / 2_147_483_646;
    const states = new Map<unknown, string[]>();
    let count = 0;
    for (const { data, topic, key, type } of sampleOrders(random)) {
      states.set(data['number'], [...(states.get(data['number']) ?? []), String(data['state'])]);
      expect(topic).toBe(`shop/${String(data['region'])}/orders/${String(data['state'])}`);
      expect(type).toBe(`com.example.order.${String(data['state'])}`);
      expect(key).toBe(data['customer']);
      if (++count === 500) break;
    }
    for (const seen of states.values()) {
      expect(['created', 'paid', 'shipped'].slice(0, seen.length)).toEqual(seen);
    }
  });
});

describe('reading an event stream', () => {
  const text =
    ': comment\nretry: 10\n\nid: 1\nevent: opened\ndata: {"a":\ndata: 1}\r\n\r\nid: 2\rdata: é\r\r';
  const expected = [
    { id: '1', event: 'opened', data: '{"a":\n1}' },
    { id: '2', event: 'message', data: 'é' },
  ];

  it.each([1, 2, 3, 7, 1000])('is the same in chunks of %i bytes', async (size) => {
    const bytes = Buffer.from(`${text}\n`);
    async function* chunks() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const events = [];
    for await (const event of parseSse(chunks())) events.push(event);
    expect(events).toEqual(expected);
  });
});
