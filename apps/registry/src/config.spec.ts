import { describe, expect, it } from '@jest/globals';
import { ConfigError, loadConfig } from '@eventmesh/config';
import { registryConfig } from './config.ts';

const problems = (value: unknown): readonly string[] => {
  try {
    loadConfig(registryConfig, { value });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
};

describe('the configuration of the registry', () => {
  it('needs only the name of the site', () => {
    const config = loadConfig(registryConfig, { value: { site: 'west' } });
    expect(config).toMatchObject({
      neighbours: [],
      interest: { linger: 2000 },
      exchange: { ping: 1000, deadAfter: 5000, reconnectMax: 2000, sitesMax: 1000 },
      kv: { kind: 'embedded', dir: 'data/registry' },
    });
  });

  it('names a neighbour that is the site itself, one named twice, and an etcd without hosts', () => {
    const neighbours = [{ site: 'west' }, { site: 'east', cost: 3 }, { site: 'east' }];
    expect(problems({ site: 'west', neighbours, kv: { kind: 'etcd' } })).toEqual([
      'neighbours[0].site: "west" is this site itself',
      'neighbours[2].site: "east" is named twice',
      'kv.etcd.hosts: is empty; name at least one etcd',
    ]);
  });

  it('refuses a neighbour with a bad name, address or cost', () => {
    const neighbours = [{ site: 'East', address: 'no port', cost: 0 }];
    expect(problems({ site: 'west', neighbours })).toHaveLength(3);
  });
});
