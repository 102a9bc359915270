import { describe, expect, it } from '@jest/globals';
import { refusal, render } from './helm.ts';
import { containersOf, ofKind, podsOf, workload, type KubeObject, type Pod } from './kubernetes.ts';

function podOf(objects: readonly KubeObject[], component: string): Pod {
  const found = podsOf(objects).find(
    ({ labels }) => labels['app.kubernetes.io/component'] === component,
  );
  if (found === undefined) throw new Error(`there is no pod of ${component}`);
  return found;
}

const imageOf = (objects: readonly KubeObject[], component: string): string =>
  podOf(objects, component).spec.containers[0]?.image ?? '';

describe('images', () => {
  it('have the version of the chart unless told otherwise', async () => {
    expect(imageOf(await render(), 'emesher')).toBe('eventmesh/emesher:0.1.0');
  });

  it('take registry, repository, tag and digest, the digest first', async () => {
    const image = { registry: 'one.example', repository: 'mesh/acl', tag: '9' };
    const tagged = await render({ values: { acl: { image } } });
    expect(imageOf(tagged, 'acl')).toBe('one.example/mesh/acl:9');
    const digest = `sha256:${'2'.repeat(64)}`;
    const pinned = await render({ values: { acl: { image: { ...image, digest } } } });
    expect(imageOf(pinned, 'acl')).toBe(`one.example/mesh/acl@${digest}`);
  });

  it('all come from one registry when the site has its own', async () => {
    const objects = await render({
      values: {
        global: { imageRegistry: 'local.example', imagePullSecrets: ['login'] },
        toolbox: { enabled: true },
      },
    });
    for (const pod of podsOf(objects)) {
      for (const { image } of containersOf(pod)) expect(image).toMatch(/^local\.example\//);
      expect([pod.title, pod.spec.imagePullSecrets]).toEqual([pod.title, [{ name: 'login' }]]);
    }
  });
});

describe('the defaults block', () => {
  it('reaches all five services, and each overrides it, down to zero and false', async () => {
    const objects = await render({
      values: {
        defaults: { replicas: 4, priorityClassName: 'high', podLabels: { a: 'one' } },
        acl: {
          replicas: 0,
          priorityClassName: '',
          podLabels: { b: 'two' },
          preStopSeconds: 0,
          pdb: { enabled: false },
          topologySpread: { enabled: false },
        },
      },
    });
    expect(workload(podOf(objects, 'emesher').owner).replicas).toBe(4);
    const acl = podOf(objects, 'acl');
    expect(workload(acl.owner).replicas).toBe(0);
    expect(acl.labels).toMatchObject({ a: 'one', b: 'two' });
    expect(JSON.stringify(acl.spec)).not.toMatch(/priorityClassName|preStop|topologySpread/);
    const budgets = ofKind(objects, 'PodDisruptionBudget').map(({ metadata }) => metadata.name);
    expect(budgets).toContain('mesh-eventmesh-registry');
    expect(budgets).not.toContain('mesh-eventmesh-acl');
  });
});

describe('common labels and annotations', () => {
  it('are on every object and every pod', async () => {
    const objects = await render({
      values: {
        commonLabels: { team: 'mesh' },
        commonAnnotations: { 'example.com/owner': 'mesh' },
        toolbox: { enabled: true },
      },
    });
    for (const { metadata } of objects) {
      expect([metadata.name, metadata.labels?.['team']]).toEqual([metadata.name, 'mesh']);
      expect(metadata.annotations).toMatchObject({ 'example.com/owner': 'mesh' });
    }
    for (const { title, labels } of podsOf(objects)) {
      expect([title, labels['team']]).toEqual([title, 'mesh']);
    }
  });
});

describe('the emesher', () => {
  it('can be a load balancer with source ranges and fixed node ports', async () => {
    const service = {
      type: 'LoadBalancer',
      annotations: { 'example.com/internal': 'true' },
      loadBalancerClass: 'example.com/lb',
      loadBalancerSourceRanges: ['192.0.2.0/24'],
      externalTrafficPolicy: 'Local',
      nodePorts: { grpc: 30090 },
    };
    const objects = await render({ values: { emesher: { service } } });
    const found = ofKind(objects, 'Service').find(({ metadata }) => /emesher$/.test(metadata.name));
    expect(found?.metadata.annotations).toMatchObject(service.annotations);
    expect(found?.spec).toMatchObject({
      type: 'LoadBalancer',
      loadBalancerClass: 'example.com/lb',
      loadBalancerSourceRanges: ['192.0.2.0/24'],
      externalTrafficPolicy: 'Local',
      ports: [
        { name: 'grpc', port: 9090, nodePort: 30090 },
        { name: 'http', port: 8080 },
      ],
    });
  });

  it('is what the Ingress leads to, by host and path', async () => {
    const [ingress] = ofKind(await render({ set: 'production' }), 'Ingress');
    expect(ingress?.spec).toMatchObject({
      ingressClassName: 'nginx',
      rules: [
        {
          host: 'mesh.example',
          http: { paths: [{ path: '/', backend: { service: { port: { name: 'http' } } } }] },
        },
      ],
    });
    const values = {
      emesher: { http: { enabled: false } },
      ingress: { enabled: true, hosts: [{ host: 'x.example' }] },
    };
    expect(await refusal({ values })).toContain('emesher.http.enabled');
  });
});

describe('links', () => {
  const link = {
    site: 'east',
    address: 'e.example:9090',
    registryAddress: 'r.example:9091',
    tokenSecret: { name: 'link', key: 'token' },
  };
  const external = { links: [{ ipBlock: { cidr: '192.0.2.0/24' } }] };
  const values = (links: unknown) => ({
    site: { name: 'west' },
    links,
    networkPolicy: { external },
  });

  it('reach the emesher and the registry, with the token', async () => {
    const objects = await render({ values: values([link]) });
    const files = Object.fromEntries(
      ofKind(objects, 'ConfigMap').map(({ metadata, data }) => [
        metadata.labels?.['app.kubernetes.io/component'],
        data?.['config.yaml'] ?? '',
      ]),
    );
    expect(files['emesher']).toMatch(/links:\n- address: e\.example:9090\n {2}site: east/);
    expect(files['registry']).toMatch(/neighbours:\n- address: r\.example:9091/);
    for (const name of ['emesher', 'registry']) {
      expect(files[name]).toContain('file: /run/eventmesh/link-token/token');
    }
    expect(files['acl']).not.toContain('link-token');
  });

  it.each([
    ['the site itself', [{ ...link, site: 'west' }], "this site's own name"],
    ['one site twice', [link, link], 'a site twice'],
    [
      'two tokens',
      [link, { ...link, site: 'n', tokenSecret: { name: 'o', key: 'token' } }],
      'same',
    ],
    ['no token', [{ ...link, tokenSecret: undefined }], 'tokenSecret'],
  ])('to %s are refused', async (_, links, said) => {
    expect(await refusal({ values: values(links) })).toContain(said);
  });
});

describe('further objects', () => {
  it('are rendered, whether written as objects or as templates', async () => {
    const objects = await render({
      values: {
        extraObjects: [
          { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'plain' } },
          'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}-tpl"}',
        ],
      },
    });
    const names = objects.map(({ metadata }) => metadata.name);
    expect(names).toEqual(expect.arrayContaining(['plain', 'mesh-tpl']));
  });
});

describe('side and init containers', () => {
  it('are held to the rules of the service where they say nothing', async () => {
    const emesher = podOf(await render({ set: 'production' }), 'emesher');
    const names = containersOf(emesher).map(({ name }) => name);
    expect(names).toEqual(['wait', 'emesher', 'proxy']);
    for (const container of containersOf(emesher)) {
      expect(container.securityContext?.readOnlyRootFilesystem).toBe(true);
      expect(container.resources?.limits).toBeDefined();
    }
  });
});

describe('bundled back ends', () => {
  it('take an existing claim instead of one of their own', async () => {
    const values = { nats: { persistence: { existingClaim: 'old-claim' } } };
    const nats = podOf(await render({ values }), 'nats');
    expect(workload(nats.owner).volumeClaimTemplates).toBeUndefined();
    expect(nats.spec.volumes).toContainEqual({
      name: 'data',
      persistentVolumeClaim: { claimName: 'old-claim' },
    });
  });

  it('are not there when existing ones are named', async () => {
    const objects = await render({ set: 'production' });
    expect(ofKind(objects, 'StatefulSet')).toEqual([]);
  });
});
