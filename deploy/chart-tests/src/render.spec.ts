import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { render, renderText, runTool, setFile, VALUE_SETS } from './helm.ts';
import { CHART } from './schema-file.ts';

describe('the chart', () => {
  it.each(VALUE_SETS)('lints strictly with the %s values', async (set) => {
    // Linting knows no API versions, so what needs an operator is switched off for it.
    const switches = ['metrics.serviceMonitor.enabled', 'metrics.prometheusRule.enabled'];
    const { code, stdout, stderr } = await runTool('helm', [
      'lint',
      '--strict',
      `--values=${setFile(set)}`,
      ...switches.map((name) => `--set=${name}=false`),
      '--set=tls.existingSecret=mesh-tls',
      CHART,
    ]);
    expect({ code, problems: `${stdout}${stderr}`.match(/\[(ERROR|WARNING)\].*/g) }).toEqual({
      code: 0,
      problems: null,
    });
  });

  it.each(VALUE_SETS)('renders valid Kubernetes objects with the %s values', async (set) => {
    const folder = mkdtempSync(join(tmpdir(), 'eventmesh-rendered-'));
    try {
      const file = join(folder, 'rendered.yaml');
      writeFileSync(file, await renderText({ set }));
      const { code, stdout, stderr } = await runTool('kubernetes-validate', [
        '--strict',
        '--no-warn',
        '--kubernetes-version=1.37',
        file,
      ]);
      expect({ code, said: code === 0 ? '' : `${stdout}${stderr}` }).toEqual({ code: 0, said: '' });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it.each(VALUE_SETS)('renders the %s values twice to the same text', async (set) => {
    // A random value would roll the pods and show a difference at every upgrade.
    expect(await renderText({ set })).toBe(await renderText({ set }));
  });
});

async function notes(values: Readonly<Record<string, string>>): Promise<string> {
  const sets = Object.entries(values).map(([name, value]) => `--set=${name}=${value}`);
  const { stdout } = await runTool('helm', [
    'install',
    'mesh',
    CHART,
    '--dry-run=client',
    `--values=${setFile('default')}`,
    ...sets,
  ]);
  return stdout.slice(stdout.indexOf('NOTES:'));
}

describe('the notes', () => {
  it('give the addresses and the first commands', async () => {
    const text = await notes({});
    expect(text).toContain('http://mesh-eventmesh-emesher.default:8080');
    expect(text).toContain('helm test mesh --namespace default');
    expect(text).toContain('mesh sub');
  });

  it('warn of what is unsafe, and only of that', async () => {
    expect(await notes({ 'networkPolicy.enabled': 'false' })).toContain(
      'WARNING: networkPolicy.enabled is false',
    );
    const safe = await notes({
      'tls.enabled': 'true',
      'tls.existingSecret': 'mesh-tls',
      'etcd.replicas': '3',
      'nats.replicas': '3',
    });
    expect(safe).not.toContain('WARNING');
  });
});

describe('helm test', () => {
  it('publishes an event with the command line and reads it back', async () => {
    const [pod] = (await render({})).filter(({ kind }) => kind === 'Pod');
    expect(pod?.metadata.annotations?.['helm.sh/hook']).toBe('test');
    const [container] = (pod?.spec as { containers: { image: string; args: string[] }[] })
      .containers;
    expect(container?.image).toMatch(/eventmesh\/mesh:/);
    expect(container?.args[0]).toMatch(/^mesh pub .*\n^mesh sub /m);
  });

  it('is left out where it could not run', async () => {
    for (const values of [{ cli: { existingSecret: '' } }, { test: { enabled: false } }]) {
      expect((await render({ values })).filter(({ kind }) => kind === 'Pod')).toEqual([]);
    }
  });
});
