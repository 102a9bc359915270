import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { WORKSPACE, findSources } from './load.ts';
import { QUEUES, type QueueRow } from './queue-table.ts';
import { declared, queueProblems, type Declared } from './queues.ts';

let known: Declared;

beforeAll(async () => {
  known = await declared();
});

/** Shipped sources of services and libraries, without what is for tests. */
const sources = (): string[] =>
  ['apps', 'libs']
    .flatMap((folder) =>
      readdirSync(join(WORKSPACE, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
        join(folder, file),
      ),
    )
    .filter((file) => /\/src\/.*\.ts$/.test(file))
    .filter((file) => !/node_modules|generated|\.spec\.ts$|^libs\/(testing|sdk)\//.test(file));

const read = (file: string): string => readFileSync(join(WORKSPACE, file), 'utf8');

describe('the table of queues', () => {
  it('names a key of the configuration and a gauge that there are, for each queue', () => {
    expect(queueProblems(QUEUES, known)).toEqual([]);
  });

  const row: QueueRow = {
    service: 'acl',
    queue: 'logins',
    key: 'password.waitingMax',
    gauge: 'eventmesh_acl_passwords_waiting',
    full: 'Refused.',
    at: ['apps/acl/src/work-limit.ts'],
  };

  it.each<[string, Partial<QueueRow>, string]>([
    ['a key that is not there', { key: 'password.waiting' }, 'acl has no key password.waiting'],
    ['a key of another service', { service: 'registry' }, 'registry has no key'],
    ['a key that is no bound', { key: 'password.cache' }, 'no number that could be a bound'],
    ['a gauge that is not there', { gauge: 'eventmesh_x' }, 'there is no gauge eventmesh_x'],
    ['a counter as gauge', { gauge: 'eventmesh_acl_checks_total' }, 'there is no gauge'],
    ['nothing about its end', { full: '' }, 'what happens when it is full'],
    ['a source that is gone', { at: ['apps/acl/src/gone.ts'] }, 'there is no apps/acl/src/gone.ts'],
    ['no source', { at: [] }, 'where it is'],
  ])('is refused with %s', (_, change, problem) => {
    const others = QUEUES.filter(({ key }) => key !== row.key);
    expect(queueProblems([...others, row], known)).toEqual([]);
    const problems = queueProblems([...QUEUES, { ...row, ...change }], known);
    expect(problems).toEqual([expect.stringContaining(problem)]);
  });

  it('is refused without a row for a gauge of queues', () => {
    const without = QUEUES.filter(({ gauge }) => gauge !== 'eventmesh_consumer_bytes');
    expect(queueProblems(without, known)).toEqual([
      'the gauge eventmesh_consumer_bytes is of no queue here',
    ]);
  });

  it('has every source in which something is queued between two sides', () => {
    const listed = new Set(QUEUES.flatMap(({ at }) => at));
    const queueing = sources().filter((file) => /new AsyncQueue\b/.test(read(file)));
    expect(queueing.length).toBeGreaterThan(5);
    expect(queueing.filter((file) => !listed.has(file))).toEqual([]);
  });

  it('has only gauges that some source measures', () => {
    const texts = sources().map(read);
    const unread = findSources('metrics.ts').flatMap((path) =>
      [...read(path).matchAll(/(\w+): queueGauge\(/g)]
        .map(([, key = '']) => key)
        .filter((key) => {
          const measured = new RegExp(`measure(\\.call)?\\(\\s*\\w+\\.${key}\\b`);
          return !texts.some((text) => measured.test(text));
        })
        .map((key) => `${path}: ${key}`),
    );
    expect(unread).toEqual([]);
  });
});
