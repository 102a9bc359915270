import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { provision, type ToolName } from '@eventmesh/tools-provision';
import { parseAllDocuments, stringify } from 'yaml';
import type { KubeObject } from './kubernetes.ts';
import { CHART } from './schema-file.ts';

/** APIs beyond Kubernetes' own; without them half of the chart would never be rendered. */
const API_VERSIONS = ['monitoring.coreos.com/v1', 'cert-manager.io/v1'] as const;

/** The value sets in ci/, by name. */
export const VALUE_SETS: readonly string[] = readdirSync(join(CHART, 'ci'))
  .filter((file) => file.endsWith('-values.yaml'))
  .map((file) => file.replace('-values.yaml', ''));

export interface RenderOptions {
  /** A set in ci/ to start from. Default: `default`. */
  readonly set?: string;
  /** Values over it. */
  readonly values?: unknown;
  /** Default `mesh`. */
  readonly release?: string;
  /** Default: those of the Prometheus operator and cert-manager. */
  readonly apiVersions?: readonly string[];
  /** URL of an API server whose objects the chart may look up. Default: none. */
  readonly cluster?: string;
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runTool(tool: ToolName, args: readonly string[]): Promise<Outcome> {
  const binary = await provision(tool);
  return new Promise((resolve) => {
    execFile(binary, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

const withFile = async <T>(text: string, use: (file: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'eventmesh-chart-'));
  try {
    const file = join(folder, 'values.yaml');
    writeFileSync(file, text);
    return await use(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

export const setFile = (set: string): string => join(CHART, 'ci', `${set}-values.yaml`);

/** helm reads YAML 1.1, in which `no` and `y` are not text unless they are quoted. */
function template(options: RenderOptions): Promise<Outcome> {
  const {
    set = 'default',
    values = {},
    release = 'mesh',
    apiVersions = API_VERSIONS,
    cluster,
  } = options;
  return withFile(stringify(values, { version: '1.1' }), (file) =>
    runTool('helm', [
      'template',
      release,
      CHART,
      '--namespace=site',
      `--values=${setFile(set)}`,
      `--values=${file}`,
      ...apiVersions.map((version) => `--api-versions=${version}`),
      ...(cluster === undefined
        ? []
        : ['--dry-run=server', '--disable-openapi-validation', `--kube-apiserver=${cluster}`]),
    ]),
  );
}

const known = new Map<string, Promise<Outcome>>();

/** Rendering takes a third of a second and depends on its options alone, so each is done once. */
function templateOnce(options: RenderOptions): Promise<Outcome> {
  const key = JSON.stringify(options);
  const outcome = known.get(key) ?? template(options);
  known.set(key, outcome);
  return outcome;
}

/** The rendered text, rendered anew. @throws with what helm says when it does not render. */
export async function renderText(options: RenderOptions): Promise<string> {
  return textOf(await template(options));
}

function textOf({ code, stdout, stderr }: Outcome): string {
  if (code !== 0) throw new Error(`helm template failed: ${stderr}`);
  return stdout;
}

/** The rendered objects. */
export async function render(options: RenderOptions = {}): Promise<KubeObject[]> {
  const documents = parseAllDocuments(textOf(await templateOnce(options)));
  if (!Array.isArray(documents)) return [];
  return documents
    .map((document) => {
      if (document.errors[0] !== undefined) throw document.errors[0];
      return document.toJS() as KubeObject | null;
    })
    .filter((object) => object !== null);
}

/** What helm says about values that it must refuse; throws when it renders them. */
export async function refusal(options: RenderOptions): Promise<string> {
  const { code, stderr } = await template(options);
  if (code === 0) throw new Error('helm template accepted what it should refuse');
  return stderr;
}
