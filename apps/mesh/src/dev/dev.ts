import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LedgerLine } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { pause } from '@eventmesh/time';
import type { World } from '../cli/cli.ts';
import { CONTEXT_PATH, writeContextFile } from '../cli/context-file.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { HttpClient } from '../cli/http-client.ts';
import { tableText, toJson, type Output } from '../cli/output.ts';
import { LEDGER_COLUMNS } from '../commands/ledger.ts';
import { goingOn } from './kept-state.ts';
import { contextOf, startLocalMesh, type LocalMesh } from './local-mesh.ts';
import { runSampleTraffic } from './sample-traffic.ts';
import { joinLinks, readSnapshot, type SiteSnapshot } from './snapshot.ts';
import { meshLine, meshTable } from './table.ts';

export interface DevOptions {
  readonly sites: number;
  readonly ring: boolean;
  readonly data: string;
  readonly ports?: number;
  readonly quiet: boolean;
  readonly sample: boolean;
  readonly rate: number;
  readonly services: boolean;
}

const TERMINAL_INTERVAL_MS = 1000;
const LINE_INTERVAL_MS = 5000;

/** Runs a local mesh until it is interrupted or a part fails for good. */
export async function runDev(options: DevOptions, output: Output, world: World): Promise<void> {
  const failed = new AbortController();
  const note = (text: string) => output.note(`${text}\n`);
  const mesh = await startLocalMesh({
    sites: options.sites,
    ring: options.ring,
    ...(options.ports === undefined ? {} : { ports: options.ports }),
    dir: options.data,
    services: options.services,
    note,
    observer: {
      crashed: (name, reason, ms) => note(`${name} ended (${reason}); again in ${ms} ms`),
      recovered: (name) => note(`${name} is up again`),
      failed: (name, reason) => {
        note(`${name} ended too often (${reason}); stopping`);
        failed.abort();
      },
    },
  });
  const contextPath = join(world.folder, CONTEXT_PATH);
  writeContextFile(contextPath, contextOf(mesh));
  welcome(mesh, options, output);
  const stop = AbortSignal.any([world.interrupted, failed.signal]);
  const sample = options.sample ? sampleOf(mesh, options, stop, note) : Promise.resolve();
  await show(mesh, options, output, stop);
  note('stopping: draining the sites (once more Ctrl-C changes nothing)');
  await sample;
  const ledgers = await readLedgers(mesh);
  const disorderly = await mesh.stop();
  rmSync(contextPath, { force: true });
  printLedgers(ledgers, output);
  for (const name of disorderly) note(`${name} did not end in order`);
  if (disorderly.length > 0 || failed.signal.aborted) world.exit(EXIT.failed);
}

function welcome(mesh: LocalMesh, options: DevOptions, output: Output): void {
  for (const { wanted, got } of mesh.plan.moved) {
    output.note(`port ${wanted} is taken; using ${got}\n`);
  }
  const { identity } = mesh;
  if (output.json) {
    const sites = Object.fromEntries(mesh.sites);
    output.write(`${toJson({ started: { sites, data: options.data } })}\n`);
    return;
  }
  const rows = mesh.sites.map(([site, at]) => ({ site, ...at }));
  output.write(
    `${tableText(rows, {
      SITE: ({ site }) => site,
      HTTP: ({ http }) => http,
      GRPC: ({ grpc }) => grpc,
      METRICS: ({ admin }) => (admin === undefined ? undefined : `${admin}/metrics`),
    })}\n\n`,
  );
  if (identity.fresh) {
    const users = Object.entries(identity.users).map(([name, password]) => ({ name, password }));
    output.write(`users, shown this once (kept in ${options.data}, for you alone)\n`);
    output.write(
      `${tableText(users, { NAME: ({ name }) => name, PASSWORD: ({ password }) => password })}\n\n`,
    );
  } else {
    const names = Object.keys(identity.users).join(', ');
    const kind = options.services === true ? 'services' : 'embedded';
    output.write(`${goingOn(options.data, kind, mesh.kept)}\nusers as before: ${names}\n\n`);
  }
  const [first = 'west', last = first] = [mesh.sites[0]?.[0], mesh.sites.at(-1)?.[0]];
  output.write(
    `try      npx mesh sub '#' --site ${last}\n` +
      `and      npx mesh pub hello/world '{"hello":"world"}' --site ${first}\n` +
      'stop     Ctrl-C\n\n',
  );
}

function sampleOf(
  mesh: LocalMesh,
  { rate }: DevOptions,
  signal: AbortSignal,
  note: (text: string) => void,
): Promise<void> {
  const told = new Set<string>();
  return runSampleTraffic({
    sites: mesh.sites,
    users: mesh.identity.users,
    rate,
    signal,
    onError: (what, error) => {
      const text = `sample ${what}: ${error.message}`;
      // A part that is away for long would say the same every second.
      if (!told.has(text)) note(text);
      told.add(text);
    },
  });
}

/** Shows the books until the signal; the form depends on who watches. */
async function show(
  mesh: LocalMesh,
  { quiet }: DevOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const live = output.terminal && !quiet;
  const intervalMs = live || output.json ? TERMINAL_INTERVAL_MS : LINE_INTERVAL_MS;
  let drawn = 0;
  while (!signal.aborted) {
    if (!quiet) {
      const sites = await snapshots(mesh);
      if (output.json) {
        output.write(`${toJson({ time: new Date().toISOString(), sites })}\n`);
      } else if (live) {
        const table = meshTable(sites);
        // Back to where the last table began, and erase from there.
        output.write(`${drawn > 0 ? `\u001b[${drawn}A\u001b[J` : ''}${table}\n`);
        drawn = table.split('\n').length;
      } else {
        output.write(`${meshLine(sites, new Date())}\n`);
      }
    }
    await pause(intervalMs, signal);
  }
}

async function snapshots(mesh: LocalMesh): Promise<SiteSnapshot[]> {
  const all = mesh.sites.map(([name, { admin = '' }]) => readSnapshot(name, admin));
  return joinLinks(await Promise.all(all));
}

interface SiteLedger {
  readonly site: string;
  readonly lines: readonly LedgerLine[];
  readonly problem?: string;
}

/** Before the drain, for a stopped site answers nothing. */
function readLedgers({ sites, identity }: LocalMesh): Promise<SiteLedger[]> {
  const pair = Buffer.from(`admin:${identity.users['admin'] ?? ''}`).toString('base64');
  return Promise.all(
    sites.map(async ([site, { http }]) => {
      try {
        const client = new HttpClient(http, `Basic ${pair}`);
        const { lines } = await client.get<{ lines: LedgerLine[] }>('/v1/ledger');
        return { site, lines };
      } catch (error) {
        return { site, lines: [], problem: MeshError.from(error).message };
      }
    }),
  );
}

function printLedgers(ledgers: readonly SiteLedger[], output: Output): void {
  if (output.json) {
    output.write(`${toJson({ ledger: ledgers })}\n`);
    return;
  }
  const rows = ledgers.flatMap(({ site, lines }) => lines.map((line) => ({ site, ...line })));
  output.write(`\nledger\n${tableText(rows, { SITE: ({ site }) => site, ...LEDGER_COLUMNS })}\n`);
  for (const { site, problem } of ledgers) {
    if (problem !== undefined) output.note(`no ledger of ${site}: ${problem}\n`);
  }
}
