import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { refusal, render, VALUE_SETS } from './helm.ts';
import { ofKind, podsOf, selects, titleOf, workload, type KubeObject } from './kubernetes.ts';

const LONG = 'a-release-name-of-exactly-fifty-three-characters-yes1';

describe('names', () => {
  it.each(VALUE_SETS)('fit with a release name of 53 characters and the %s values', async (set) => {
    expect(LONG).toHaveLength(53);
    const values = { fullnameOverride: '', toolbox: { enabled: true } };
    const objects = await render({ set, release: LONG, values });
    for (const object of objects) {
      const { name, labels = {} } = object.metadata;
      expect([name, name.length <= (object.kind === 'StatefulSet' ? 52 : 63)]).toEqual([
        name,
        true,
      ]);
      expect(name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
      for (const value of Object.values(labels)) expect(value.length).toBeLessThanOrEqual(63);
    }
  });

  it('differ for long release names that begin alike', async () => {
    const other = `${LONG.slice(0, -1)}2`;
    const [one, two] = await Promise.all([LONG, other].map((release) => render({ release })));
    const names = new Set(one?.map(titleOf));
    expect(two?.map(titleOf).filter((title) => names.has(title))).toEqual([]);
  });

  it('of two releases in one namespace are all different, and so are their pods', async () => {
    const [one = [], two = []] = await Promise.all(
      ['a', 'b'].map((release) => render({ set: 'production', release })),
    );
    const names = new Set(one.map(titleOf));
    expect(two.map(titleOf).filter((title) => names.has(title))).toEqual([]);
    for (const service of ofKind(one, 'Service')) {
      const { selector } = service.spec as { selector: Record<string, string> };
      expect(podsOf(two).filter(({ labels }) => selects(selector, labels))).toEqual([]);
    }
  });

  it.each(['123', 'no', '1e3'])('and labels stay text in a release called %s', async (release) => {
    for (const { metadata } of await render({ release })) {
      expect(metadata.labels?.['app.kubernetes.io/instance']).toBe(release);
    }
  });

  it.each([
    ['nameOverride', { nameOverride: 'bus' }, 'mesh-bus-emesher'],
    ['fullnameOverride', { fullnameOverride: 'bus' }, 'bus-emesher'],
  ])('follow %s', async (_, values, name) => {
    const names = (await render({ values })).map(({ metadata }) => metadata.name);
    expect(names).toContain(name);
  });
});

/** What an API server refuses to change. */
const immutable = (objects: readonly KubeObject[]) =>
  objects.flatMap((object) => {
    const { selector, serviceName, volumeClaimTemplates, template } = workload(object) ?? {};
    if (template === undefined) return [];
    const component = object.metadata.labels?.['app.kubernetes.io/component'];
    return [{ component, selector, volumeClaimTemplates, serviceName }];
  });

describe('TLS between the services', () => {
  it('demands a certificate of every caller but the clients of the emeshers', async () => {
    const values = { tls: { enabled: true, existingSecret: 'mesh-tls' } };
    const demanded = ofKind(await render({ values }), 'ConfigMap').flatMap((object) => {
      const file = (object['data'] as Record<string, string> | undefined)?.['config.yaml'];
      const component = object.metadata.labels?.['app.kubernetes.io/component'];
      if (file === undefined || component === undefined) return [];
      const { grpc } = parse(file) as { grpc: { tls: { clientCertificates: string } } };
      return [`${component}: ${grpc.tls.clientCertificates}`];
    });
    expect(demanded.sort()).toEqual([
      'acl: required',
      'emesher: none',
      'governance: required',
      'registry: required',
      'store-gateway: required',
    ]);
  });
});

describe('immutable fields', () => {
  it('are changed by no value that may change in an upgrade', async () => {
    const before = immutable(await render());
    const changes = {
      commonLabels: { a: 'b' },
      nameOverride: '',
      defaults: { replicas: 3, podLabels: { c: 'd' } },
      nats: { replicas: 3, resources: { limits: { memory: '2Gi' } } },
      etcd: { persistence: { whenDeleted: 'Delete' }, quotaBackendBytes: 4294967296 },
      tls: { enabled: true, existingSecret: 'x' },
      global: { imageRegistry: 'registry.example' },
    };
    expect(immutable(await render({ values: changes }))).toEqual(before);
    expect(before).toHaveLength(7);
  });

  it('of selectors depend on release and component alone', async () => {
    const selectors = immutable(await render({ set: 'production' })).map(
      ({ selector }) => selector,
    );
    for (const selector of selectors) {
      expect(Object.keys(selector?.matchLabels ?? {}).sort()).toEqual([
        'app.kubernetes.io/component',
        'app.kubernetes.io/instance',
        'app.kubernetes.io/name',
      ]);
    }
  });
});

describe('spreading', () => {
  it.each(VALUE_SETS)('names the pods that it spreads with the %s values', async (set) => {
    for (const { title, labels, spec } of podsOf(await render({ set }))) {
      for (const { labelSelector } of spec.topologySpreadConstraints ?? []) {
        const selector = labelSelector?.matchLabels ?? {};
        expect([title, Object.keys(selector).length]).toEqual([title, 3]);
        expect([title, selects(selector, labels)]).toEqual([title, true]);
      }
    }
  });

  it('is over hosts and zones by default', async () => {
    const workloads = podsOf(await render()).filter(({ owner }) => owner.kind === 'Deployment');
    for (const { spec } of workloads) {
      expect(spec.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey)).toEqual([
        'kubernetes.io/hostname',
        'topology.kubernetes.io/zone',
      ]);
    }
  });
});

describe('disruption budgets', () => {
  it.each(VALUE_SETS)('never block every drain with the %s values', async (set) => {
    const objects = await render({ set });
    for (const budget of ofKind(objects, 'PodDisruptionBudget')) {
      const spec = budget.spec as Record<string, unknown>;
      const owner = objects.find(
        ({ kind, metadata }) =>
          metadata.name === budget.metadata.name && /Deploy|Stateful/.test(kind),
      );
      const replicas = owner && (workload(owner).replicas ?? 3);
      expect(spec['unhealthyPodEvictionPolicy']).toBe('AlwaysAllow');
      if (spec['minAvailable'] === undefined) expect(spec['maxUnavailable']).toBe(1);
      else expect(Number(spec['minAvailable'])).toBeLessThan(replicas ?? 0);
    }
  });

  it.each([2, 5, '100%'])('refuse minAvailable %s of 2 replicas', async (minAvailable) => {
    const said = await refusal({ values: { acl: { pdb: { minAvailable } } } });
    expect(said).toContain('acl.pdb.minAvailable');
  });
});

describe('autoscaling', () => {
  it('is off by default and leaves the replicas alone when on', async () => {
    expect(ofKind(await render(), 'HorizontalPodAutoscaler')).toEqual([]);
    const objects = await render({ values: { emesher: { hpa: { enabled: true } } } });
    const [hpa] = ofKind(objects, 'HorizontalPodAutoscaler');
    const { scaleTargetRef, behavior } = hpa?.spec as {
      scaleTargetRef: { name: string };
      behavior: { scaleDown: { stabilizationWindowSeconds: number } };
    };
    const target = ofKind(objects, 'Deployment').find(
      ({ metadata }) => metadata.name === scaleTargetRef.name,
    );
    expect(target && workload(target).replicas).toBeUndefined();
    expect(behavior.scaleDown.stabilizationWindowSeconds).toBeGreaterThanOrEqual(300);
  });
});

describe('draining', () => {
  it.each(VALUE_SETS)('has more time than its deadline with the %s values', async (set) => {
    const objects = await render({ set });
    const pods = podsOf(objects).filter(({ owner }) => owner.kind === 'Deployment');
    for (const { owner, spec, title } of pods) {
      const file = ofKind(objects, 'ConfigMap').find(
        ({ metadata }) => metadata.name === owner.metadata.name,
      );
      const deadline = /deadline: (\d+)s/.exec(file?.data?.['config.yaml'] ?? '')?.[1];
      if (deadline === undefined) continue;
      const preStop = spec.containers[0]?.lifecycle?.preStop?.sleep?.seconds ?? 0;
      const enough = (spec.terminationGracePeriodSeconds ?? 0) > Number(deadline) + preStop;
      expect([title, enough]).toEqual([title, true]);
    }
  });

  it.each([
    ['drainDeadline', { emesher: { drainDeadline: '40s' } }],
    ['drainDeadline in minutes', { emesher: { drainDeadline: '2m' } }],
    ['preStopSeconds', { emesher: { preStopSeconds: 20 } }],
    ['drain.deadline in config', { emesher: { config: { drain: { deadline: '50s' } } } }],
  ])('refuses a %s beyond the grace period', async (_, values) => {
    expect(await refusal({ values })).toContain('emesher.terminationGracePeriodSeconds');
  });
});

describe('probes', () => {
  it('differ for liveness and readiness, and ask the admin port', async () => {
    const pods = podsOf(await render()).filter(({ owner }) => owner.kind === 'Deployment');
    expect(pods).toHaveLength(5);
    for (const { spec } of pods) {
      const { startupProbe, livenessProbe, readinessProbe } = spec.containers[0] ?? {};
      expect(livenessProbe?.httpGet).toEqual({ path: '/livez', port: 'admin' });
      expect(startupProbe?.httpGet).toEqual({ path: '/livez', port: 'admin' });
      expect(readinessProbe?.httpGet).toEqual({ path: '/readyz', port: 'admin' });
    }
  });
});

describe('rollouts', () => {
  const checksums = (objects: readonly KubeObject[]) =>
    Object.fromEntries(
      podsOf(objects)
        .filter(({ annotations }) => annotations['checksum/config'] !== undefined)
        .map(({ title, annotations }) => [title, annotations['checksum/config']]),
    );

  it('follow a changed configuration file of one service and leave the others', async () => {
    const before = checksums(await render());
    const after = checksums(
      await render({ values: { acl: { config: { log: { level: 'debug' } } } } }),
    );
    const changed = Object.keys(before).filter((title) => before[title] !== after[title]);
    expect(changed).toEqual(['Deployment/mesh-eventmesh-acl']);
  });

  it('do not follow what is in no file', async () => {
    const before = checksums(await render());
    expect(checksums(await render({ values: { defaults: { replicas: 3 } } }))).toEqual(before);
  });
});

describe('switches', () => {
  it.each([
    ['serviceToken.existingSecret', { serviceToken: { existingSecret: '' } }],
    ['tls.existingSecret', { tls: { enabled: true } }],
    ['etcd.tls.existingSecret', { etcd: { tls: { enabled: true } } }],
    ['nats.tls.existingSecret', { nats: { tls: { enabled: true } } }],
    ['/etcd/endpoints', { etcd: { bundled: false } }],
    ['/nats/servers', { nats: { bundled: false } }],
    [
      'nats.monitorUrls',
      {
        nats: { bundled: false, servers: ['nats://n:4222'] },
        networkPolicy: { external: { nats: [{ ipBlock: { cidr: '192.0.2.0/24' } }] } },
      },
    ],
    ['/ingress/hosts', { ingress: { enabled: true } }],
    ['etcd.replicas', { etcd: { replicas: 2 } }],
    [
      'etcd.persistence.existingClaim',
      { etcd: { replicas: 3, persistence: { existingClaim: 'x' } } },
    ],
    ['acl.serviceAccount.name', { acl: { serviceAccount: { create: false } } }],
    ['networkPolicy.monitoring', { metrics: { serviceMonitor: { enabled: true } } }],
    [
      'site.name',
      {
        links: [
          {
            site: 'east',
            address: 'e:1',
            registryAddress: 'r:1',
            tokenSecret: { name: 'x', key: 'token' },
          },
        ],
      },
    ],
  ])('ask for %s when it is missing', async (name, values) => {
    expect(await refusal({ values })).toContain(name);
  });

  it.each([
    ['metrics.prometheusRule', { metrics: { prometheusRule: { enabled: true } } }],
    ['tls.issuerRef', { tls: { enabled: true, issuerRef: { name: 'ca' } } }],
  ])('of %s say which API the cluster lacks', async (name, values) => {
    expect(await refusal({ values, apiVersions: [] })).toContain(name);
  });

  it('give every service a certificate with one URI name when an issuer is named', async () => {
    const objects = await render({ values: { tls: { enabled: true, issuerRef: { name: 'ca' } } } });
    const certificates = ofKind(objects, 'Certificate').map(
      ({ spec }) => spec as { uris: string[] },
    );
    expect(certificates.map(({ uris }) => uris.length)).toEqual([1, 1, 1, 1, 1]);
    expect(new Set(certificates.flatMap(({ uris }) => uris)).size).toBe(5);
  });
});
