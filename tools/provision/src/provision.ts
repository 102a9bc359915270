import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ProvisionError } from './error.ts';
import { findOnPath, isExecutable } from './find.ts';
import { withLock } from './lock.ts';
import { run } from './run.ts';
import {
  toolNamed,
  TOOL_NAMES,
  type MakeContext,
  type Tool,
  type ToolName,
  type Way,
} from './tools.ts';
import { isAtLeast, parseVersion } from './version.ts';

export interface ProvisionOptions {
  /** Where the variables come from. Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Told what takes time, one line each. Default: standard error. */
  readonly say?: (line: string) => void;
}

const known = new Map<string, Promise<string>>();

/**
 * Finds a tool or makes it, in this order: the tool's environment variable, PATH (if new enough), the
 * tool cache (`.cache/tools` of the workspace, or `EVENTMESH_TOOL_CACHE`), the Go toolchain or
 * Python, the official release archive of a pinned SHA-256. Safe to call at once from several processes: one makes it, the others wait.
 * @returns the absolute path of the binary
 * @throws ProvisionError that lists every way tried and what to install
 */
export function provision(name: ToolName, options: ProvisionOptions = {}): Promise<string> {
  if (options.env !== undefined) return find(name, options);
  const answer = known.get(name) ?? find(name, options);
  known.set(name, answer);
  // A failure is not remembered: the user may install the tool meanwhile.
  answer.catch(() => known.delete(name));
  return answer;
}

async function find(name: ToolName, options: ProvisionOptions): Promise<string> {
  const tool = toolNamed(name);
  if (tool === undefined) {
    throw new ProvisionError(`unknown tool ${name}; known are ${TOOL_NAMES.join(', ')}`);
  }
  const env = options.env ?? process.env;
  const say = options.say ?? ((line: string) => process.stderr.write(`provision: ${line}\n`));

  const given = env[tool.variable];
  if (given !== undefined && given !== '') return fromVariable(tool, resolve(given));

  const tried = [`${tool.variable} is not set`];
  const onPath = findOnPath(tool.name, env['PATH'] ?? '');
  if (onPath === undefined) {
    tried.push(`no ${tool.name} on PATH`);
  } else {
    const problem = await problemOf(tool, onPath);
    if (problem === undefined) return onPath;
    tried.push(`${onPath} on PATH ${problem}`);
  }
  const cache = resolve(
    env['EVENTMESH_TOOL_CACHE'] ?? join(import.meta.dirname, '../../../.cache/tools'),
  );
  return fromCache(tool, cache, tried, { env, say });
}

/** A variable that is set is meant: what is wrong with it is an error, not a reason to look on. */
async function fromVariable(tool: Tool, file: string): Promise<string> {
  const problem = isExecutable(file) ? await problemOf(tool, file) : 'is not an executable file';
  if (problem === undefined) return file;
  throw new ProvisionError(
    `${tool.variable}=${file} ${problem}; point it at ${tool.name} ${tool.oldest} or newer, or unset it`,
  );
}

async function problemOf(tool: Tool, file: string): Promise<string | undefined> {
  try {
    const output = await run(file, tool.versionArgs, { timeoutMs: 20_000 });
    const version = parseVersion(output);
    if (version === undefined) return 'does not tell its version';
    if (isAtLeast(version, tool.oldest)) return undefined;
    return `is version ${version}, older than ${tool.oldest}`;
  } catch (error) {
    return `does not run: ${(error as Error).message}`;
  }
}

/** A finished tool is a folder with a `binary` file in it that names the binary; written last. */
async function fromCache(
  tool: Tool,
  cache: string,
  tried: string[],
  { env, say }: Required<ProvisionOptions>,
): Promise<string> {
  const folderOf = ({ version }: Way) => join(cache, `${tool.name}-${version}`);
  const ready = () =>
    tool.ways.map((way) => readReady(folderOf(way))).find((binary) => binary !== undefined);
  const found = ready();
  if (found !== undefined) return found;
  const versions = tool.ways.map(({ version }) => version).join(' or ');
  tried.push(`no ${tool.name} ${versions} in the tool cache ${cache}`);
  mkdirSync(cache, { recursive: true });
  const wait = (pid: number) => {
    say(`waiting for process ${pid}, which is making ${tool.name}`);
  };
  return withLock(join(cache, `${tool.name}.lock`), wait, async () => {
    const made = ready();
    if (made !== undefined) return made;
    for (const way of tool.ways) {
      try {
        return await make(tool, way, { folder: folderOf(way), version: way.version, say, env });
      } catch (error) {
        tried.push(`could not be ${way.words}: ${(error as Error).message}`);
      }
    }
    throw new ProvisionError(
      `${tool.name} ${tool.oldest} or newer is needed and was not found:\n` +
        tried.map((line) => `  - ${line}\n`).join('') +
        `Either ${tool.advice},\nor set ${tool.variable} to the path of a binary.`,
    );
  });
}

/** Makes a tool in its place in the cache; a failed attempt leaves nothing there. */
async function make(tool: Tool, way: Way, context: MakeContext): Promise<string> {
  const { folder } = context;
  // What an interrupted attempt left. Made in place, since a Python environment cannot be moved.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  try {
    const binary = await way.make(context);
    const problem = await problemOf(tool, binary);
    if (problem !== undefined) throw new Error(`${binary} ${problem}`);
    writeFileSync(join(folder, 'binary.new'), binary);
    renameSync(join(folder, 'binary.new'), join(folder, 'binary'));
    return binary;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function readReady(folder: string): string | undefined {
  try {
    const binary = readFileSync(join(folder, 'binary'), 'utf8');
    return isExecutable(binary) ? binary : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
