import { flag, integer, schema, text, type Shape } from './openapi.ts';

const tag = 'dead-letters';
const cause = text('Exactly this cause.');
const subscription = text('Of this subscription; of a broadcast, those of all its parts.');
const query = {
  subscription,
  cause,
  id: { type: 'array', items: { type: 'integer' }, description: 'Ids; repeatable.' },
};
const selection: Readonly<Record<string, Shape>> = {
  subscription,
  cause,
  ids: { type: 'array', maxItems: 1000, items: { type: 'integer' }, description: 'Ids.' },
  all: flag('Every dead letter; needed when nothing else is given.'),
  token: text('nextToken of the last call; empty at first.'),
};
const piecewise =
  'A call works for about five seconds; call again with nextToken while it is not empty.';

/** What the OpenAPI document says of `/v1/dead-letters`. */
export const deadLetterSchemas = {
  list: schema(
    tag,
    'List dead letters',
    'In pages, which may be short or empty before the last. subscriptionGone: the subscription that ' +
      'gave it up is deleted, though there may be another one of its name.',
    {
      query: {
        ...query,
        size: integer('Default 100.', 1, 1000),
        token: text('nextToken of the last page.'),
      },
    },
  ),
  groups: schema(
    tag,
    'Group dead letters by cause',
    'The most frequent first; those of deleted subscriptions (subscriptionGone) apart.',
    { query },
  ),
  status: schema(
    tag,
    'Dead letters of the tenant',
    'Count, bytes, quota, retention and alarm. At the quota nothing is given up: events are held until there is room.',
  ),
  get: schema(tag, 'Show a dead letter', 'Its event as JSON, and byte for byte in base64.', {
    params: { id: integer('Id of the dead letter.', 1, Number.MAX_SAFE_INTEGER) },
  }),
  redrive: schema(
    tag,
    'Redrive dead letters',
    'Gives events back to the subscription that gave them up, or to one made again under its name, and ' +
      'to no other. Those that it cannot get now stay, and are counted: missing (it is gone, or of ' +
      'another class), unmatched (its topic filters or filters say no), forbidden (its owner may not ' +
      'receive their topic). Scheduled events that were never published are published now, to ' +
      'everybody, if their publisher may still; those that may not are counted as forbidden, and stay. ' +
      piecewise,
    {
      body: {
        type: 'object',
        properties: {
          ...selection,
          rateMax: integer('Events a second; 0: no limit. Default 0.', 0, 1_000_000),
        },
      },
    },
  ),
  purge: schema(tag, 'Purge dead letters', `Forgets them for good. ${piecewise}`, {
    body: { type: 'object', properties: selection },
  }),
} as const;
