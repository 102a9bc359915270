import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from './kubernetes.ts';

/** A cluster that has some StatefulSets and answers what helm asks before it renders. */
export interface Cluster {
  readonly url: string;
  close(): Promise<void>;
}

/** The discovery documents of an API server that knows the kinds of these objects. */
function discovery(objects: readonly KubeObject[]): Record<string, unknown> {
  const versions = new Set(objects.map(({ apiVersion }) => apiVersion));
  const answers: Record<string, unknown> = {
    '/version': { major: '1', minor: '37', gitVersion: 'v1.37.0' },
    '/api': { kind: 'APIVersions', versions: ['v1'] },
  };
  const groups: unknown[] = [];
  for (const groupVersion of versions) {
    const kinds = new Set(
      objects.filter(({ apiVersion }) => apiVersion === groupVersion).map(({ kind }) => kind),
    );
    const resources = [...kinds].map((kind) => ({
      name: `${kind.toLowerCase()}s`,
      singularName: kind.toLowerCase(),
      namespaced: true,
      kind,
    }));
    const root = groupVersion === 'v1' ? '/api/v1' : `/apis/${groupVersion}`;
    answers[root] = { kind: 'APIResourceList', groupVersion, resources };
    const [name, version] = groupVersion.split('/');
    if (version === undefined) continue;
    const entry = { groupVersion, version };
    groups.push({ name, versions: [entry], preferredVersion: entry });
  }
  answers['/apis'] = { kind: 'APIGroupList', groups };
  return answers;
}

/** As helm marks what belongs to a release. */
const owned = (object: KubeObject): KubeObject => ({
  ...object,
  metadata: {
    ...object.metadata,
    annotations: {
      'meta.helm.sh/release-name': 'mesh',
      'meta.helm.sh/release-namespace': 'site',
    },
  },
});

/** Serves the few read calls of the Kubernetes API that `lookup` makes; all else is not found. */
export async function startCluster(objects: readonly KubeObject[]): Promise<Cluster> {
  const answers = discovery(objects);
  for (const object of objects.filter(({ kind }) => kind === 'StatefulSet')) {
    answers[`/apis/apps/v1/namespaces/site/statefulsets/${object.metadata.name}`] = owned(object);
  }
  const server: Server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://cluster').pathname;
    const answer = answers[path];
    response.setHeader('content-type', 'application/json');
    response.statusCode = answer === undefined ? 404 : 200;
    const missing = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound' };
    response.end(JSON.stringify(answer ?? { ...missing, code: 404 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
