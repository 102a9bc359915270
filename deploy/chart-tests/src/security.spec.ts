import { describe, expect, it } from '@jest/globals';
import { render, VALUE_SETS } from './helm.ts';
import { containersOf, podsOf, type Container, type Pod } from './kubernetes.ts';

/** What the restricted Pod Security standard and ours beyond it have against a container. */
function problemsOf(pod: Pod, container: Container): string[] {
  const { spec } = pod;
  const own = container.securityContext ?? {};
  const says = (holds: boolean, rule: string) => (holds ? [] : [rule]);
  const allowedVolumes = ['configMap', 'secret', 'emptyDir', 'persistentVolumeClaim', 'projected'];
  const quota = { requests: ['cpu', 'memory'], limits: ['cpu', 'memory'] };
  return [
    ...says(own.allowPrivilegeEscalation === false, 'allowPrivilegeEscalation must be false'),
    ...says(own.privileged !== true, 'must not be privileged'),
    ...says(own.capabilities?.drop?.includes('ALL') === true, 'must drop ALL capabilities'),
    ...says((own.capabilities?.add ?? []).length === 0, 'must add no capability'),
    ...says(
      (own.runAsNonRoot ?? spec.securityContext?.runAsNonRoot) === true,
      'runAsNonRoot must be true',
    ),
    ...says((own.runAsUser ?? spec.securityContext?.runAsUser ?? 0) > 0, 'needs a user id'),
    ...says(
      (own.seccompProfile ?? spec.securityContext?.seccompProfile)?.type === 'RuntimeDefault',
      'seccompProfile must be RuntimeDefault',
    ),
    ...says(own.readOnlyRootFilesystem === true, 'the root file system must be read-only'),
    ...says(spec.automountServiceAccountToken === false, 'must mount no API token'),
    ...says(!spec.hostNetwork && !spec.hostPID && !spec.hostIPC, 'must share nothing of the host'),
    ...says(!container.ports?.some((port) => port.hostPort !== undefined), 'no host ports'),
    ...says(
      (spec.volumes ?? []).every((volume) =>
        Object.keys(volume).some((kind) => allowedVolumes.includes(kind)),
      ),
      'only plain volumes',
    ),
    // Namespaces with a quota refuse pods that do not state both.
    ...Object.entries(quota).flatMap(([group, names]) =>
      names.flatMap((name) =>
        says(
          container.resources?.[group as 'requests']?.[name] !== undefined,
          `resources.${group}.${name} is missing`,
        ),
      ),
    ),
  ];
}

describe('Pod Security', () => {
  it.each(VALUE_SETS)('restricts every container of the %s values', async (set) => {
    const pods = podsOf(await render({ set, values: { toolbox: { enabled: true } } }));
    const problems = pods.flatMap((pod) =>
      containersOf(pod).flatMap((container) =>
        problemsOf(pod, container).map((rule) => `${pod.title} ${container.name}: ${rule}`),
      ),
    );
    expect(pods.length).toBeGreaterThanOrEqual(6);
    expect(problems).toEqual([]);
  });

  it('would notice a container that is not restricted', async () => {
    const values = { emesher: { containerSecurityContext: { allowPrivilegeEscalation: true } } };
    const [pod] = podsOf(await render({ values })).filter(({ title }) => /emesher$/.test(title));
    expect(pod && problemsOf(pod, pod.spec.containers[0] as Container)).toEqual([
      'allowPrivilegeEscalation must be false',
    ]);
  });
});

describe('access to the Kubernetes API', () => {
  it.each(VALUE_SETS)('is given to nothing in the %s values', async (set) => {
    const objects = await render({ set });
    expect(objects.filter(({ kind }) => /Role|Binding/.test(kind))).toEqual([]);
    const accounts = objects.filter(({ kind }) => kind === 'ServiceAccount');
    expect(accounts.map((account) => account.automountServiceAccountToken)).toEqual(
      accounts.map(() => false),
    );
    expect(accounts.length).toBeGreaterThanOrEqual(5);
  });
});

describe('secrets', () => {
  it.each(VALUE_SETS)('are mounted as files and never variables in the %s values', async (set) => {
    const objects = await render({ set });
    expect(objects.filter(({ kind }) => kind === 'Secret')).toEqual([]);
    for (const pod of podsOf(objects)) {
      for (const { env = [], envFrom } of containersOf(pod)) {
        expect([pod.title, envFrom]).toEqual([pod.title, undefined]);
        expect(env.filter(({ valueFrom }) => valueFrom?.['secretKeyRef'] !== undefined)).toEqual(
          [],
        );
      }
      for (const { secret } of pod.spec.volumes ?? []) {
        if (secret !== undefined) expect(secret.defaultMode).toBe(0o440);
      }
    }
  });

  it('may not be written into a configuration file', async () => {
    const objects = await render({ set: 'production' });
    const files = objects.flatMap(({ kind, data }) => (kind === 'ConfigMap' && data ? [data] : []));
    const text = files.map((data) => data['config.yaml'] ?? '').join('\n');
    expect(text).toContain('file: /run/eventmesh/service-token/value');
    expect(text).not.toMatch(/^\s*value:/m);
  });
});
