import { describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { configRows } from '@eventmesh/config';
import { WORKSPACE } from '../workspace.ts';
import { configurations } from './configuration.ts';

/** Where keys are declared: there only `.key` counts as reading it. */
const DECLARES = /(\/(config|service-config)|adapter\/http\/src\/options)\.ts$/;

interface Source {
  readonly declares: boolean;
  readonly text: string;
}

function shippedSources(): Source[] {
  return ['apps', 'libs']
    .flatMap((folder) =>
      readdirSync(join(WORKSPACE, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
        join(folder, file),
      ),
    )
    .filter((file) => /\/src\/.*\.ts$/.test(file))
    .filter((file) => !/node_modules|generated|\.spec\.ts$/.test(file))
    .map((file) => ({
      declares: DECLARES.test(file),
      text: readFileSync(join(WORKSPACE, file), 'utf8'),
    }));
}

/** A property read by name, or taken apart by a pattern or shorthand. */
function reads({ declares, text }: Source, name: string): boolean {
  if (!text.includes(name)) return false;
  if (new RegExp(`\\.${name}\\b`).test(text)) return true;
  return !declares && new RegExp(`[{,]\\s*${name}\\s*[,:}=]`).test(text);
}

describe('configuration keys', () => {
  it('are all read somewhere, so that none is accepted and ignored', async () => {
    const sources = shippedSources();
    const ignored: string[] = [];
    for (const [service, spec] of await configurations()) {
      for (const { key } of configRows(spec)) {
        const name = (key.split('.').at(-1) ?? '').replace('[]', '');
        if (!sources.some((source) => reads(source, name))) ignored.push(`${service}: ${key}`);
      }
    }
    expect(ignored).toEqual([]);
  });

  it.each([
    ['const { a, b } = config.x', false, false],
    ['const { stallMax } = config', false, true],
    ['run(options.stallMax)', false, true],
    ['section({ stallMax: duration() })', true, false],
    ['make({ stallMs: one.stallMax })', true, true],
  ])('in %j is told apart from naming it', (text, declares, read) => {
    expect(reads({ declares, text }, 'stallMax')).toBe(read);
  });
});
