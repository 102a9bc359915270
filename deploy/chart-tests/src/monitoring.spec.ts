import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Metrics } from '@eventmesh/telemetry';
import { render, VALUE_SETS } from './helm.ts';
import { ofKind, type KubeObject } from './kubernetes.ts';
import { SERVICES } from './values-schema.ts';

const workspace = join(import.meta.dirname, '../../..');

interface Definition {
  readonly kind: string;
  readonly name: string;
  readonly labels: readonly string[];
}

/** Every metric that the services declare or that the runtime adds, with its labels. */
async function knownMetrics(): Promise<Map<string, readonly string[]>> {
  const known = new Map<string, readonly string[]>([['up', []]]);
  const metrics = new Metrics();
  metrics.collectProcess();
  for (const [, name = ''] of (await metrics.render()).matchAll(/^# TYPE (\S+)/gm)) {
    known.set(name, []);
  }
  for (const app of Object.values(SERVICES)) {
    const file = join(workspace, 'apps', app, 'src/metrics.ts');
    if (!existsSync(file)) continue;
    const module = (await import(pathToFileURL(file).href)) as Record<string, object>;
    for (const group of Object.values(module)) {
      for (const metric of Object.values(group) as Partial<Definition>[]) {
        if (metric.kind === undefined || metric.name === undefined) continue;
        for (const end of metric.kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) {
          known.set(metric.name + end, metric.labels ?? []);
        }
      }
    }
  }
  return known;
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { severity: string };
  readonly annotations: { summary: string; runbook_url: string };
}

const alertsOf = (objects: readonly KubeObject[]): Alert[] =>
  ofKind(objects, 'PrometheusRule').flatMap(({ spec }) =>
    (spec as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules),
  );

/** The metrics in an expression: names that are followed by a selector. */
const metricsIn = (expr: string): string[] =>
  [...expr.matchAll(/([a-z][a-z0-9_]+)\{/g)].map(([, name]) => name ?? '');

/** The labels that an expression groups by. */
const groupsIn = (expr: string): string[] =>
  [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, names]) => (names ?? '').split(/,\s*/));

let known: Map<string, readonly string[]>;
let objects: KubeObject[];

beforeAll(async () => {
  known = await knownMetrics();
  objects = await render({ set: 'production' });
});

describe('monitors', () => {
  it.each(VALUE_SETS.filter((set) => set !== 'production'))(
    'are not there with the %s values, nor is a Service for the admin port',
    async (set) => {
      const rendered = await render({ set, apiVersions: [] });
      expect(rendered.filter(({ apiVersion }) => apiVersion.startsWith('monitoring'))).toEqual([]);
      const admin = ofKind(rendered, 'Service').filter(({ metadata }) =>
        /admin$/.test(metadata.name),
      );
      expect(admin).toEqual([]);
    },
  );

  it('are there for every service when switched on, with the labels asked for', () => {
    const monitors = ofKind(objects, 'ServiceMonitor');
    expect(monitors).toHaveLength(5);
    for (const { metadata, spec } of monitors) {
      expect(metadata.labels?.['release']).toBe('prometheus');
      const { selector, endpoints } = spec as {
        selector: { matchLabels: Record<string, string> };
        endpoints: { port: string; path: string; relabelings: unknown[] }[];
      };
      const services = ofKind(objects, 'Service').filter(
        (service) =>
          Object.entries(selector.matchLabels).every(
            ([name, value]) => service.metadata.labels?.[name] === value,
          ) &&
          (service.spec as { ports: { name: string }[] }).ports.some((p) => p.name === 'admin'),
      );
      expect([metadata.name, services.length]).toEqual([metadata.name, 1]);
      expect(endpoints).toEqual([expect.objectContaining({ port: 'admin', path: '/metrics' })]);
      expect(endpoints[0]?.relabelings).toHaveLength(1);
    }
  });

  it('can be annotations on the pods instead', async () => {
    const values = {
      metrics: { podAnnotations: true },
      networkPolicy: { monitoring: [{ podSelector: {} }] },
    };
    const rendered = await render({ values, apiVersions: [] });
    const [deployment] = ofKind(rendered, 'Deployment');
    expect(JSON.stringify(deployment)).toContain('"prometheus.io/port":"9464"');
  });
});

describe('alert rules', () => {
  it('use only metrics and labels that the services have', () => {
    const alerts = alertsOf(objects);
    expect(alerts.length).toBeGreaterThanOrEqual(8);
    for (const { alert, expr } of alerts) {
      const names = metricsIn(expr);
      expect([alert, names.length]).not.toEqual([alert, 0]);
      expect([alert, names.filter((name) => !known.has(name))]).toEqual([alert, []]);
      const labels = names.flatMap((name) => known.get(name) ?? []);
      const unknown = groupsIn(expr).filter((label) => !labels.includes(label));
      expect([alert, unknown]).toEqual([alert, []]);
    }
  });

  it('look at this release alone', () => {
    for (const { expr } of alertsOf(objects)) {
      const selectors = [...expr.matchAll(/\{([^}]*)\}/g)].map(([, selector]) => selector);
      for (const selector of selectors) {
        expect(selector).toContain('namespace="site"');
        expect(selector).toContain('mesh-emesher-admin|');
      }
    }
  });

  it('have a runbook each, at the address they give', () => {
    const page = readFileSync(join(workspace, 'docs/operating/kubernetes.md'), 'utf8');
    const anchors = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title?.toLowerCase());
    for (const { alert, annotations, labels } of alertsOf(objects)) {
      expect(annotations.runbook_url.split('#')[1]).toBe(alert.toLowerCase());
      expect(anchors).toContain(alert.toLowerCase());
      expect(['warning', 'critical']).toContain(labels.severity);
      expect(annotations.summary).not.toBe('');
    }
  });
});

describe('dashboards', () => {
  it('are what the folder holds, under the label that the sidecar looks for', () => {
    const maps = ofKind(objects, 'ConfigMap').filter(
      ({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1',
    );
    const files = readdirSync(join(workspace, 'deploy/helm/eventmesh/dashboards'));
    expect(maps.map(({ data }) => Object.keys(data ?? {}))).toEqual([files]);
  });

  it('show only metrics and labels that the services have', () => {
    const data = ofKind(objects, 'ConfigMap').flatMap(({ metadata, data: files }) =>
      metadata.labels?.['grafana_dashboard'] === undefined ? [] : Object.values(files ?? {}),
    );
    const targets = data.flatMap(
      (text) => (JSON.parse(text) as { panels: { targets: { expr: string }[] }[] }).panels,
    );
    const exprs = targets.flatMap((panel) => panel.targets.map(({ expr }) => expr));
    expect(exprs.length).toBeGreaterThanOrEqual(10);
    for (const expr of exprs) {
      const names = metricsIn(expr);
      expect([expr, names.filter((name) => !known.has(name))]).toEqual([expr, []]);
      const labels = ['le', ...names.flatMap((name) => known.get(name) ?? [])];
      expect([expr, groupsIn(expr).filter((label) => !labels.includes(label))]).toEqual([expr, []]);
    }
  });
});
