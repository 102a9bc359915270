import type { FilterSpec } from '@eventmesh/filter';

/** A subscription of the demo. */
export interface DemoSubscription {
  readonly name: string;
  readonly protocol: 'grpc' | 'sse';
  readonly topicFilters: readonly string[];
  readonly filters: readonly FilterSpec[];
  /** For the table. */
  readonly shows: string;
}

const HELLO_WORLD = 'Codertocat/Hello-World';

/** Topic filters and filter dialects of every kind, over both protocols. */
export const DEMO_SUBSCRIPTIONS: readonly DemoSubscription[] = [
  of('everything', 'grpc', ['github/#'], [], 'topic github/#'),
  of('everything-sse', 'sse', ['github/#'], [], 'topic github/#'),
  of('issues', 'grpc', ['github/+/+/issues'], [], 'topic github/+/+/issues'),
  of(
    'two-topics',
    'sse',
    ['github/+/+/push', 'github/octo-org/#'],
    [],
    'topics github/+/+/push, github/octo-org/#',
  ),
  of('exact', 'grpc', ['github/#'], [{ exact: { type: 'com.github.push' } }], 'exact type'),
  of('prefix', 'sse', ['github/#'], [{ prefix: { type: 'com.github.issue' } }], 'prefix type'),
  of('suffix', 'grpc', ['github/+/+/+'], [{ suffix: { type: '.created' } }], 'suffix type'),
  of(
    'all',
    'grpc',
    ['github/#'],
    [
      {
        all: [
          { prefix: { type: 'com.github.pull_request' } },
          { exact: { partitionkey: HELLO_WORLD } },
        ],
      },
    ],
    'all: prefix type, exact partitionkey',
  ),
  of(
    'any',
    'sse',
    ['github/#'],
    [{ any: [{ exact: { type: 'com.github.ping' } }, { suffix: { type: '.deleted' } }] }],
    'any: exact type, suffix type',
  ),
  of(
    'not',
    'grpc',
    ['github/#'],
    [{ not: { exact: { partitionkey: HELLO_WORLD } } }],
    'not: exact partitionkey',
  ),
];

function of(
  name: string,
  protocol: DemoSubscription['protocol'],
  topicFilters: readonly string[],
  filters: readonly FilterSpec[],
  shows: string,
): DemoSubscription {
  return { name: `demo-${name}`, protocol, topicFilters, filters, shows };
}
