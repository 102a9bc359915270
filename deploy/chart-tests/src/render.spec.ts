import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { renderText, runTool, setFile, VALUE_SETS } from './helm.ts';
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
