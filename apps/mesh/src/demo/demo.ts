import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MeshError } from '@eventmesh/errors';
import { SubscriberService, type SubscriptionStatus } from '@eventmesh/proto-gen/subscriber';
import { createClient, grpcTransport } from '@eventmesh/rpc';
import { MeshClient, type SubscriptionInput } from '@eventmesh/sdk';
import { pause } from '@eventmesh/time';
import { DEFECTS, reportText, type CheckReport } from '@eventmesh/tools-checker';
import { subscriptionInputToProto } from '@eventmesh/wire';
import type { World } from '../cli/cli.ts';
import type { SiteAddresses } from '../cli/context-file.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { tableText, toJson, type Output } from '../cli/output.ts';
import { startLocalMesh, type LocalMesh } from '../dev/local-mesh.ts';
import { consume } from './consume.ts';
import { loadPayloads } from './payloads.ts';
import { PRODUCERS, publishAll } from './publish.ts';
import { Recorder } from './recorder.ts';
import { DEMO_SUBSCRIPTIONS } from './subscriptions.ts';

export interface DemoOptions {
  readonly services: boolean;
  readonly keep: boolean;
}

/** Nothing arriving for so long means that nothing more will. */
const QUIET_MS = 15_000;
const CONVERGE_MS = 20_000;

/** Runs the demo on a mesh of its own and proves the books; sets exit code 1 when they do not hold. */
export async function runDemo(options: DemoOptions, output: Output, world: World): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'mesh-demo-'));
  const note = (text: string) => output.note(`${text}\n`);
  note(`starting two sites ${options.services ? 'as services ' : ''}in ${dir}`);
  let mesh: LocalMesh | undefined;
  try {
    mesh = await startLocalMesh({
      sites: 2,
      ports: 0,
      dir,
      services: options.services,
      note,
      observer: {
        crashed: (name, reason) => note(`${name} ended: ${reason}`),
        recovered: (name) => note(`${name} is up again`),
        failed: (name, reason) => note(`${name} ended too often: ${reason}`),
      },
    });
    const result = await exchange(mesh, output, world.interrupted);
    if (!conclude(result, output)) world.exit(EXIT.failed);
  } finally {
    await mesh?.stop();
    if (options.keep) note(`kept: ${dir}`);
    else rmSync(dir, { recursive: true, force: true });
  }
}

interface Result {
  readonly events: number;
  readonly seconds: number;
  readonly report: CheckReport;
  readonly expected: ReadonlyMap<string, number>;
  /** The mesh's own books, by subscription. */
  readonly books: ReadonlyMap<string, SubscriptionStatus>;
}

async function exchange(mesh: LocalMesh, output: Output, signal: AbortSignal): Promise<Result> {
  const [west, east] = mesh.sites.map(([, addresses]) => addresses);
  if (west === undefined || east === undefined) throw new MeshError('Internal', 'two sites needed');
  const payloads = loadPayloads();
  const recorder = new Recorder(payloads);
  const producer = user(mesh, 'publisher', west);
  const consumer = user(mesh, 'subscriber', east);
  const ended = new AbortController();
  const progress = startProgress(recorder, payloads.length, output);
  try {
    await createSubscriptions(mesh, east);
    const consumers = DEMO_SUBSCRIPTIONS.map((subscription) =>
      consume(subscription, consumer, recorder, ended.signal),
    );
    // One that ends early fails the demo, rather than leaving it waiting.
    const broken = Promise.all(consumers.map(({ done }) => done));
    broken.catch(() => ended.abort());
    await Promise.all(consumers.map(({ ready }) => ready));
    await awaitKnown(consumer.client, mesh.sites[0]?.[0] ?? '');
    const started = performance.now();
    await publishAll(producer, payloads, recorder);
    await settled(mesh, east, recorder, AbortSignal.any([signal, ended.signal]));
    const seconds = (performance.now() - started) / 1000;
    const books = await readBooks(mesh, east);
    ended.abort();
    await broken;
    return {
      events: payloads.length,
      seconds,
      report: recorder.report(),
      expected: recorder.expectedBySubscription,
      books,
    };
  } finally {
    progress.stop();
    producer.client.close();
    consumer.client.close();
  }
}

function user({ identity }: LocalMesh, name: string, { http, grpc }: SiteAddresses) {
  const password = identity.users[name] ?? '';
  return {
    http,
    authorization: basic(name, password),
    client: new MeshClient({ address: grpc, user: name, password }),
  };
}

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

/** Runs a call of the subscriber service as the demo's subscriber, on a channel of its own. */
async function withSubscriptions<T>(
  { identity }: LocalMesh,
  { grpc }: SiteAddresses,
  run: (client: ReturnType<typeof createClient<typeof SubscriberService>>) => Promise<T>,
): Promise<T> {
  const authorization = basic('subscriber', identity.users['subscriber'] ?? '');
  const transport = grpcTransport({
    address: grpc,
    metadata: () => ({ authorization }),
  });
  try {
    return await run(createClient(SubscriberService, transport));
  } finally {
    transport.close();
  }
}

/** Made at the consuming site, before anything is published. */
const createSubscriptions = (mesh: LocalMesh, east: SiteAddresses): Promise<void> =>
  withSubscriptions(mesh, east, async (client) => {
    for (const { name, topicFilters, filters } of DEMO_SUBSCRIPTIONS) {
      const spec = { name, topicFilters, filters, ordered: true, start: { kind: 'earliest' } };
      await client.createSubscription({
        subscription: subscriptionInputToProto(spec as SubscriptionInput),
      });
    }
  });

/**
 * Until the publishing site knows of every subscription: only then it sends what they want. Interest
 * has one version for all of a site, so one more subscription that waits stands for those before it.
 */
async function awaitKnown(client: MeshClient, west: string): Promise<void> {
  const barrier = client.subscribe({
    subscription: { name: '', topicFilters: ['github/#'], ephemeral: true },
    convergeMs: CONVERGE_MS,
  });
  const reading = (async () => {
    for await (const delivery of barrier) delivery.accept();
  })();
  const { convergedSites } = await barrier.opened;
  barrier.close();
  await reading;
  if (convergedSites.includes(west)) return;
  throw new MeshError('Unavailable', `${west} did not learn of the subscriptions in time`);
}

const readBooks = (mesh: LocalMesh, east: SiteAddresses) =>
  withSubscriptions(mesh, east, async (client) => {
    const { subscriptions } = await client.listSubscriptions({ pageSize: 1000 });
    return new Map(
      subscriptions.flatMap(({ subscription, status }) =>
        subscription === undefined || status === undefined ? [] : [[subscription.name, status]],
      ),
    );
  });

/** Until the mesh's books say that nothing is on its way, or nothing has come for long. */
async function settled(
  mesh: LocalMesh,
  east: SiteAddresses,
  recorder: Recorder,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted && Date.now() - recorder.lastReceiveMs < QUIET_MS) {
    await pause(200);
    if (recorder.received < recorder.expected) continue;
    const books = await readBooks(mesh, east);
    const open = [...books.values()].some(({ held, lag }) => held > 0n || lag > 0n);
    if (!open) return;
  }
}

interface Row {
  readonly name: string;
  readonly shows: string;
  readonly protocol: string;
  readonly accepted: number;
  readonly expected: number;
  readonly received: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly holds: boolean;
}

/** Prints the proof; answers whether it holds. */
function conclude({ events, seconds, report, expected, books }: Result, output: Output): boolean {
  const rows = DEMO_SUBSCRIPTIONS.map(({ name, shows, protocol }): Row => {
    const checked = report.subscriptions.find(({ sub }) => sub === name);
    const status = books.get(name);
    const wanted = expected.get(name) ?? 0;
    const delivered = Number(status?.delivered ?? -1);
    const filtered = Number(status?.filtered ?? -1);
    const received = checked?.delivered ?? 0;
    const holds = events === delivered + filtered && delivered === wanted && received === wanted;
    return {
      name,
      shows,
      protocol,
      accepted: report.acked,
      expected: wanted,
      received,
      delivered,
      filtered,
      holds,
    };
  });
  const proven = report.verdict === 'pass' && report.acked === events && rows.every((r) => r.holds);
  if (output.json) {
    output.write(`${toJson({ proven, events, seconds, subscriptions: rows, checker: report })}\n`);
    return proven;
  }
  output.write(
    `${tableText<Row>(rows, {
      SUBSCRIPTION: ({ name }) => name,
      OVER: ({ protocol }) => protocol,
      'ASKS FOR': ({ shows }) => shows,
      ACCEPTED: ({ accepted }) => accepted,
      '= DELIVERED': ({ delivered }) => delivered,
      '+ FILTERED': ({ filtered }) => filtered,
      ORACLE: (row) => row.expected,
      RECEIVED: ({ received }) => received,
      '': ({ holds }) => (holds ? 'holds' : 'DOES NOT HOLD'),
    })}\n\n`,
  );
  const ways = Object.keys(PRODUCERS).join(', ');
  output.write(`${events} webhooks in ${seconds.toFixed(1)} s by ${ways}\n`);
  const defects = DEFECTS.map((defect) => `${defect} ${report[defect].count}`).join(', ');
  output.write(`${defects}\n`);
  if (report.verdict === 'fail') output.write(reportText(report));
  output.write(proven ? 'proven: the books hold\n' : 'NOT proven: see above\n');
  return proven;
}

const BAR_WIDTH = 30;

/** A bar on a terminal, a line now and then elsewhere. */
function startProgress(recorder: Recorder, events: number, output: Output) {
  const all = events + recorder.expected;
  let told = -1;
  const draw = () => {
    const done = recorder.sent + recorder.received;
    const percent = Math.min(100, Math.floor((done * 100) / all));
    const text = `published ${recorder.sent}/${events}, delivered ${recorder.received}/${recorder.expected}`;
    if (output.terminal) {
      const filled = Math.round((percent * BAR_WIDTH) / 100);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
      output.note(`\r${bar} ${String(percent).padStart(3)} %  ${text}\u001b[K`);
    } else if (Math.floor(percent / 25) > told) {
      told = Math.floor(percent / 25);
      output.note(`${percent} %  ${text}\n`);
    }
  };
  const timer = setInterval(draw, 100);
  return {
    stop() {
      clearInterval(timer);
      draw();
      if (output.terminal) output.note('\n');
    },
  };
}
