import { choice, list, optional, secret, section, text, type Entry } from '@eventmesh/config';
import { tlsConfig } from '@eventmesh/lifecycle';

/** Where a control service keeps its state; each passes the folder of its own. */
export const kvConfig = (dir: string) =>
  section('Where the control state is kept.', {
    kind: choice(
      'embedded: a folder, for one process. etcd: shared by replicas.',
      ['embedded', 'etcd'],
      { default: 'embedded' },
    ),
    dir: text('Folder of the embedded store.', { default: dir }),
    etcd: section('The etcd store.', {
      hosts: list('Addresses such as http://127.0.0.1:2379.', text('Address.'), { maxItems: 16 }),
      prefix: text('Leads every key, so that sites can share an etcd.', { default: 'eventmesh/' }),
      username: optional(text('User, for servers with authentication switched on.')),
      password: optional(secret('Password of that user.')),
      tls: optional(tlsConfig),
    }),
  });

export type KvConfig = ReturnType<typeof kvConfig> extends Entry<infer T> ? T : never;

/** What is wrong over more than one setting, a line each. */
export function kvProblems({ kind, etcd }: KvConfig): string[] {
  const problems: string[] = [];
  if (kind === 'etcd' && etcd.hosts.length === 0) {
    problems.push('kv.etcd.hosts: is empty; name at least one etcd');
  }
  if ((etcd.username === undefined) !== (etcd.password === undefined)) {
    problems.push('kv.etcd: needs both username and password, or neither');
  }
  if (etcd.tls !== undefined && etcd.tls.caFile === undefined) {
    problems.push('kv.etcd.tls.caFile: is missing');
  }
  return problems;
}
