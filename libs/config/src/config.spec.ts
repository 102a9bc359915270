import { describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import {
  ConfigError,
  configRows,
  duration,
  integer,
  list,
  loadConfig,
  optional,
  secret,
  section,
  size,
  text,
} from './index.ts';

const spec = section('A service.', {
  site: text('Name of the site.', { pattern: '^[a-z]+$' }),
  grpc: section('The gRPC server.', {
    port: integer('Port.', { min: 0, max: 65_535, default: 9090 }),
    maxAge: duration('Age.', { default: '30m' }),
  }),
  buffer: size('Buffer.', { default: '64KiB', max: '1MiB' }),
  token: optional(secret('Token.')),
  links: list('Links.', section('A link.', { to: text('Site.') })),
});

const problemsOf = (value: unknown): readonly string[] => {
  try {
    loadConfig(spec, { value });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe('loadConfig', () => {
  it('applies defaults and compiles units', () => {
    const config = loadConfig(spec, { value: { site: 'west' } });
    expect(config).toEqual({
      site: 'west',
      grpc: { port: 9090, maxAge: 1_800_000 },
      buffer: 65_536,
      token: undefined,
      links: [],
    });
  });

  it('lets the environment win over the file and --set win over both', () => {
    const config = loadConfig(spec, {
      value: { site: 'west', grpc: { port: 1 } },
      env: { EVENTMESH_GRPC__PORT: '2', EVENTMESH_GRPC__MAX_AGE: '1s', EVENTMESH_UNRELATED: 'x' },
      set: ['grpc.port=3'],
    });
    expect(config.grpc).toEqual({ port: 3, maxAge: 1000 });
  });

  it('reports every problem at once, each with its key', () => {
    const problems = problemsOf({ grpc: { port: 70_000, prot: 1 }, links: [{ too: 'x' }] });
    expect(problems).toEqual(
      expect.arrayContaining([
        'missing key "site"',
        'grpc: unknown key "prot"',
        'grpc.port: must be <= 65535',
        'links[0]: missing key "to"',
        'links[0]: unknown key "too"',
      ]),
    );
  });

  it('refuses what is out of bounds, all at once and with the bounds', () => {
    const given = { site: 'west', buffer: '2MiB', grpc: { maxAge: '4000d' } };
    expect(problemsOf({ ...given, token: { file: '/nowhere' } })).toEqual([
      'grpc.maxAge: 4000d is out of bounds; between 0ms and 3650d',
      'buffer: 2MiB is out of bounds; between 0B and 1MiB',
      expect.stringMatching(/^token\.file: \/nowhere: ENOENT/),
    ]);
  });

  it('never prints a secret', () => {
    const { token } = loadConfig(spec, { value: { site: 'west', token: { value: 'hunter2' } } });
    expect([`${token}`, JSON.stringify({ token }), inspect({ token })].join()).not.toContain(
      'hunter2',
    );
    expect(token?.reveal()).toBe('hunter2');
  });
});

describe('configRows', () => {
  it('lists every key with its default', () => {
    expect(configRows(spec).map(({ key, default: value }) => [key, value])).toEqual([
      ['site', 'required'],
      ['grpc.port', '9090'],
      ['grpc.maxAge', '"30m"'],
      ['buffer', '"64KiB"'],
      ['token', 'none'],
      ['links', '[]'],
      ['links[].to', 'required'],
    ]);
  });
});
