import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from './kubernetes.ts';

/** A cluster that has some StatefulSets and answers what helm asks before it renders. */
export interface Cluster {
  readonly url: string;
  close(): Promise<void>;
}

const RESOURCES = {
  kind: 'APIResourceList',
  groupVersion: 'apps/v1',
  resources: [
    { name: 'statefulsets', singularName: 'statefulset', namespaced: true, kind: 'StatefulSet' },
  ],
};
const GROUPS = {
  kind: 'APIGroupList',
  groups: [
    {
      name: 'apps',
      versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
      preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
    },
  ],
};

/** Serves the few read calls of the Kubernetes API that `lookup` makes; all else is not found. */
export async function startCluster(objects: readonly KubeObject[]): Promise<Cluster> {
  const answers: Record<string, unknown> = {
    '/version': { major: '1', minor: '37', gitVersion: 'v1.37.0' },
    '/api': { kind: 'APIVersions', versions: ['v1'] },
    '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [] },
    '/apis': GROUPS,
    '/apis/apps/v1': RESOURCES,
  };
  for (const object of objects.filter(({ kind }) => kind === 'StatefulSet')) {
    answers[`/apis/apps/v1/namespaces/site/statefulsets/${object.metadata.name}`] = object;
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
