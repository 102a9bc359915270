import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { goingOn, keptState, type StateKind } from './kept-state.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kept-state-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function keep(kind: StateKind): void {
  if (kind === 'services') mkdirSync(join(dir, 'etcd'));
  else {
    mkdirSync(join(dir, 'east'));
    writeFileSync(join(dir, 'east', 'site.yaml'), '');
  }
}

describe('a data folder that is used again', () => {
  it.each<[string, readonly StateKind[], StateKind, RegExp]>([
    ['the same kind of state', ['embedded'], 'embedded', /^going on from \/\S+$/],
    ['the same kind of state', ['services'], 'services', /^going on from \/\S+$/],
    [
      'the state of the embedded store only',
      ['embedded'],
      'services',
      /^beginning anew on etcd and nats-server; .* of the embedded store .* without --services$/,
    ],
    [
      'the state of the services only',
      ['services'],
      'embedded',
      /^beginning anew on the embedded store; .* of etcd and nats-server .* with --services$/,
    ],
    [
      'both kinds of state',
      ['embedded', 'services'],
      'services',
      /^going on from etcd and nats-server in .* the embedded store .* without --services$/,
    ],
  ])('with %s (%j) tells a start on %s what it finds', (_, kinds, kind, told) => {
    for (const each of kinds) keep(each);
    const kept = keptState(dir, ['west', 'east']);
    expect([...kept]).toEqual(kinds);
    expect(goingOn(dir, kind, kept)).toMatch(told);
  });
});
