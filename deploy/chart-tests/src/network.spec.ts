import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { render, refusal } from './helm.ts';
import { ofKind, podsOf, selects, type KubeObject, type Labels, type Pod } from './kubernetes.ts';

interface Peer {
  readonly podSelector?: { matchLabels?: Labels };
  readonly namespaceSelector?: unknown;
  readonly ipBlock?: unknown;
}
interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { port: number }[];
}
interface Policy {
  readonly podSelector: { matchLabels: Labels };
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[] | null;
  readonly egress?: readonly Rule[] | null;
}

const COMPONENT = 'app.kubernetes.io/component';
const componentOf = (pod: Pod): string => pod.labels[COMPONENT] ?? '';
const policiesOf = (objects: readonly KubeObject[]): Policy[] =>
  ofKind(objects, 'NetworkPolicy').map(({ spec }) => spec as Policy);

/** `a>b:port` for every pair of pods of the release that both sides' policies let talk. */
function openEdges(objects: readonly KubeObject[], direction: 'ingress' | 'egress'): string[] {
  const pods = podsOf(objects);
  const edges = new Set<string>();
  for (const policy of policiesOf(objects)) {
    for (const pod of pods.filter(({ labels }) =>
      selects(policy.podSelector.matchLabels, labels),
    )) {
      for (const rule of policy[direction] ?? []) {
        for (const peer of rule.from ?? rule.to ?? []) {
          const labels = peer.podSelector?.matchLabels;
          if (labels?.[COMPONENT] === undefined) continue;
          for (const other of pods.filter((candidate) => selects(labels, candidate.labels))) {
            const [from, to] = direction === 'egress' ? [pod, other] : [other, pod];
            for (const { port } of rule.ports ?? []) {
              edges.add(`${componentOf(from)}>${componentOf(to)}:${port}`);
            }
          }
        }
      }
    }
  }
  return [...edges].sort();
}

/** The edges that the configuration files really use: every host:port in them that is ours. */
function usedEdges(objects: readonly KubeObject[]): string[] {
  const services = new Map(
    ofKind(objects, 'Service').map(({ metadata, spec }) => [
      metadata.name,
      (spec as { selector: Labels }).selector[COMPONENT] ?? '',
    ]),
  );
  const edges = new Set<string>();
  for (const { metadata, data } of ofKind(objects, 'ConfigMap')) {
    const caller = metadata.labels?.[COMPONENT] ?? '';
    for (const text of textsOf(parse(data?.['config.yaml'] ?? '{}'))) {
      // A pod's name may lead the name of its headless Service.
      const match = /^(?:[a-z]+:\/\/)?(?:[a-z0-9-]+\.)?([a-z0-9-]+):(\d+)$/.exec(text);
      const callee = services.get(match?.[1] ?? '');
      if (callee !== undefined) edges.add(`${caller}>${callee}:${match?.[2]}`);
    }
  }
  return [...edges].sort();
}

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsOf);
}

/** Between members of one quorum, which their own configuration names, and of the helpers. */
const quorum = ['etcd>etcd:2380', 'nats>nats:6222'];
/** Emeshers of a site find each other in the registry, not in their configuration. */
const sisters = 'emesher>emesher:9090';
const helpers = (edge: string): boolean => /^(test|toolbox)>/.test(edge);

describe('NetworkPolicies', () => {
  it.each(['default', 'two-sites', 'production'])(
    'open exactly the edges that the configuration of the %s values uses',
    async (set) => {
      const objects = await render({ set });
      const egress = openEdges(objects, 'egress');
      const unnamed = [...quorum, sisters];
      const real = egress.filter((edge) => !helpers(edge) && !unnamed.includes(edge));
      expect(real).toEqual(usedEdges(objects));
      expect(real.length).toBeGreaterThanOrEqual(5);
    },
  );

  it.each(['default', 'two-sites', 'production'])(
    'agree on both ends of every edge with the %s values',
    async (set) => {
      const objects = await render({ set });
      const ingress = openEdges(objects, 'ingress');
      expect(openEdges(objects, 'egress')).toEqual(ingress);
    },
  );

  it.each(['default', 'two-sites', 'production'])(
    'let the emeshers of a site talk to each other with the %s values',
    async (set) => {
      expect(openEdges(await render({ set }), 'egress')).toContain(sisters);
    },
  );

  it('open the ports of an existing NATS and of each of its monitoring endpoints', async () => {
    const objects = await render({ set: 'production' });
    const configs = ofKind(objects, 'ConfigMap').map(({ data }) =>
      parse(data?.['config.yaml'] ?? '{}'),
    ) as { store?: { monitorUrls?: string[] } }[];
    const urls = configs.flatMap(({ store }) => store?.monitorUrls ?? []);
    expect(urls).toHaveLength(3);
    const nats = '203.0.113.16/28';
    const rules = policiesOf(objects).flatMap(({ egress }) => egress ?? []);
    const rule = rules.find(({ to }) => JSON.stringify(to ?? []).includes(nats));
    const ports = rule?.ports?.map(({ port }) => String(port)) ?? [];
    expect(ports).toEqual(['4222', ...new Set(urls.map((url) => new URL(url).port))]);
  });

  it('let the members of a quorum talk, and only when there are several', async () => {
    expect(openEdges(await render({ set: 'two-sites' }), 'egress')).toEqual(
      expect.arrayContaining(quorum),
    );
    const single = openEdges(await render({ set: 'default' }), 'egress');
    expect(single.filter((edge) => quorum.includes(edge))).toEqual([]);
  });

  it('deny everything else, in and out, for every pod of the release', async () => {
    const objects = await render({ set: 'production', values: { toolbox: { enabled: true } } });
    const deny = policiesOf(objects).filter(({ ingress, egress }) => !ingress && !egress);
    expect(deny.map(({ policyTypes }) => policyTypes)).toEqual([['Ingress', 'Egress']]);
    const selector = deny[0]?.podSelector.matchLabels ?? {};
    const missed = podsOf(objects).filter(({ labels }) => !selects(selector, labels));
    expect(missed.map(({ title }) => title)).toEqual([]);
    for (const policy of policiesOf(objects)) {
      expect(policy.policyTypes).toEqual(['Ingress', 'Egress']);
      for (const rule of [...(policy.ingress ?? []), ...(policy.egress ?? [])]) {
        // An empty list of peers or ports would mean all of them.
        expect((rule.from ?? rule.to ?? []).length).toBeGreaterThan(0);
        expect((rule.ports ?? []).length).toBeGreaterThan(0);
      }
    }
  });

  it('close the HTTP port when the adapter is off, in policy, Service and pod', async () => {
    const objects = await render({ values: { emesher: { http: { enabled: false } } } });
    expect(JSON.stringify(objects.filter(({ kind }) => kind !== 'ConfigMap'))).not.toContain(
      '8080',
    );
  });

  it.each([
    ['etcd', { etcd: { bundled: false, endpoints: ['http://etcd:2379'] } }],
    ['nats', { nats: { bundled: false, servers: ['nats://nats:4222'] } }],
    ['otlp', { tracing: { otlpUrl: 'http://collector:4318/v1/traces' } }],
  ])('ask where %s is as soon as it is outside', async (name, values) => {
    expect(await refusal({ values })).toContain(`networkPolicy.external.${name}`);
  });

  it('vanish when switched off', async () => {
    expect(ofKind(await render({ set: 'minimal' }), 'NetworkPolicy')).toEqual([]);
  });
});
