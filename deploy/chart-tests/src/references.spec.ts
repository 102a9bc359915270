import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { render, setFile, VALUE_SETS } from './helm.ts';
import { readFileSync } from 'node:fs';
import {
  containersOf,
  ofKind,
  podsOf,
  selects,
  titleOf,
  workload,
  type KubeObject,
  type Labels,
} from './kubernetes.ts';

/** Every text in the values: what the user names, such as existing Secrets, comes from there. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsOf);
}

function issuedSecrets(objects: readonly KubeObject[]): string[] {
  return ofKind(objects, 'Certificate').map(
    ({ spec }) => (spec as { secretName: string }).secretName,
  );
}

describe.each(VALUE_SETS)('references in the %s values', (set) => {
  const load = async () => {
    const objects = await render({ set });
    return { objects, pods: podsOf(objects) };
  };

  it('name ConfigMaps and service accounts of the release', async () => {
    const { objects, pods } = await load();
    const maps = ofKind(objects, 'ConfigMap').map(({ metadata }) => metadata.name);
    const accounts = ofKind(objects, 'ServiceAccount').map(({ metadata }) => metadata.name);
    for (const { title, spec } of pods) {
      for (const { configMap } of spec.volumes ?? []) {
        if (configMap !== undefined)
          expect([title, maps]).toEqual([title, expect.arrayContaining([configMap.name])]);
      }
      expect([title, accounts]).toEqual([title, expect.arrayContaining([spec.serviceAccountName])]);
    }
  });

  it('name only Secrets that the values name or an issuer makes', async () => {
    const { objects, pods } = await load();
    const known = [
      ...textsOf(parse(readFileSync(setFile(set), 'utf8'))),
      ...issuedSecrets(objects),
    ];
    for (const { title, spec } of pods) {
      const names = (spec.volumes ?? []).flatMap(({ secret }) => secret?.secretName ?? []);
      for (const name of [...names, ...(spec.imagePullSecrets ?? []).map((pull) => pull.name)]) {
        expect([title, known]).toEqual([title, expect.arrayContaining([name])]);
      }
    }
  });

  it('mount every volume that there is and none that there is not', async () => {
    const { objects, pods } = await load();
    for (const pod of pods) {
      const claims = workload(pod.owner).volumeClaimTemplates as KubeObject[] | undefined;
      const volumes = [
        ...(pod.spec.volumes ?? []).map(({ name }) => name),
        ...(claims ?? []).map(({ metadata }) => metadata.name),
      ];
      const mounts = containersOf(pod).flatMap(({ volumeMounts = [] }) => volumeMounts);
      const mounted = [...new Set(mounts.map(({ name }) => name))];
      expect([pod.title, mounted.sort()]).toEqual([pod.title, volumes.sort()]);
    }
    expect(objects.length).toBeGreaterThan(20);
  });

  it('select pods of the release, by ports that these have', async () => {
    const { objects, pods } = await load();
    for (const service of ofKind(objects, 'Service')) {
      const { selector, ports } = service.spec as {
        selector: Labels;
        ports: { targetPort: string }[];
      };
      const chosen = pods.filter(({ labels }) => selects(selector, labels));
      const names = chosen.flatMap(containersOf).flatMap((container) => container.ports ?? []);
      expect([titleOf(service), chosen.length]).toEqual([titleOf(service), 1]);
      expect(names.map(({ name }) => name)).toEqual(
        expect.arrayContaining(ports.map(({ targetPort }) => targetPort)),
      );
    }
    for (const kind of ['PodDisruptionBudget', 'NetworkPolicy']) {
      for (const { metadata, spec } of ofKind(objects, kind)) {
        const { selector, podSelector } = spec as Record<string, { matchLabels: Labels }>;
        const labels = (selector ?? podSelector)?.matchLabels ?? {};
        const chosen = pods.filter((pod) => selects(labels, pod.labels));
        expect([metadata.name, chosen.length]).not.toEqual([metadata.name, 0]);
      }
    }
  });

  it('resolve in any namespace and cluster domain', async () => {
    const { objects } = await load();
    const text = JSON.stringify(objects);
    expect(text).not.toContain('svc.cluster.local');
    expect(objects.filter(({ metadata }) => metadata.namespace !== undefined)).toEqual([]);
    const clusterWide = ['ClusterRole', 'ClusterRoleBinding', 'PriorityClass', 'Namespace'];
    expect(objects.filter(({ kind }) => clusterWide.includes(kind))).toEqual([]);
  });
});
