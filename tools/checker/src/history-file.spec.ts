import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { cleanHistory } from './clean-history.ts';
import { HistoryWriter, readHistory } from './history-file.ts';
import type { HistoryLine, SendEndLine } from './history.ts';

const lines = cleanHistory({
  seed: 7,
  events: 200,
  keys: 4,
  releasedPercent: 20,
  unknownPercent: 10,
});
let folder = '';
const file = (name: string) => join(folder, name);
const check = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    encoding: 'utf8',
  });

async function all(...paths: string[]): Promise<HistoryLine[]> {
  const out: HistoryLine[] = [];
  for await (const line of readHistory(paths)) out.push(line);
  return out;
}

function write(name: string, part: readonly HistoryLine[]): string {
  const writer = new HistoryWriter(file(name));
  writer.write(...part);
  writer.close();
  return file(name);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checker-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('history files', () => {
  it('merge by time into the history they were split from', async () => {
    const senders = write(
      'send',
      lines.filter((line) => line.op !== 'recv'),
    );
    const receivers = write(
      'recv',
      lines.filter((line) => line.op === 'recv'),
    );
    expect(await all(senders, receivers)).toEqual(
      lines.map((line) => JSON.parse(JSON.stringify(line))),
    );
  });

  it('pass over a last line that a killed writer left incomplete', async () => {
    const path = write('torn', lines.slice(0, 5));
    appendFileSync(path, '{"t":9,"op":"rec');
    expect(await all(path)).toHaveLength(5);
  });

  it.each([
    ['{"t":1,"op":"jump"}', /odd:1\.op: "jump" is unknown/],
    ['{"op":"ok","id":"1"}', /odd:1\.t: is not a number/],
    [
      '{"t":1,"op":"recv","sub":"s","topic":"x","hash":"h","attempt":1}',
      /odd:1\.id: is not a string/,
    ],
    ['nonsense', /odd:1: is not JSON/],
  ])('refuse the line %s by file, line and field', async (text, message) => {
    appendFileSync(file('odd'), `${text}\n`);
    await expect(all(file('odd'))).rejects.toThrow(message);
  });

  it('refuse a file that is not there by its name', async () => {
    await expect(all(file('none'))).rejects.toThrow(/none does not exist/);
  });
});

describe('the checker command', () => {
  it('exits 0 over a clean history and 1 over one that lost an event', () => {
    const clean = check(write('clean', lines));
    expect([clean.status, clean.stderr]).toEqual([0, '']);
    expect(clean.stdout).toMatch(/^pass: /);
    const lastAcked = lines.findLast((line) => line.op === 'ok') as SendEndLine;
    const without = lines.filter(
      (line) => !('sub' in line && 'id' in line && line.id === lastAcked.id),
    );
    const lossy = check(write('lossy', without), '--json');
    expect(lossy.status).toBe(1);
    expect(JSON.parse(lossy.stdout)).toMatchObject({ verdict: 'fail' });
  });

  it('exits 64 with the way out when called wrongly', () => {
    expect(check()).toMatchObject({ status: 64, stderr: expect.stringMatching(/^usage: /) });
    expect(check(file('none')).status).toBe(64);
    expect(check('--duplicates-max', 'x', 'y').stderr).toMatch(/duplicates-max/);
  });
});
