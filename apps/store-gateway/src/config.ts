import {
  boolean,
  choice,
  integer,
  list,
  optional,
  secret,
  section,
  size,
  text,
  duration,
  type ConfigOf,
} from '@eventmesh/config';
import { serviceConfig, tlsConfig } from '@eventmesh/lifecycle';
import { DURABILITY_CLASSES } from '@eventmesh/store-api';

export const STORE_GATEWAY_PORT = 9092;

/** What the store-gateway itself needs, in whatever process it runs. */
export const storeGatewaySettings = {
  durability: section('How strong the store has to be.', {
    required: choice('The weakest class that durable topics may have.', DURABILITY_CLASSES, {
      default: 'fsync',
    }),
    strict: boolean(
      'Refuse to make logs and to append while the store is weaker. Otherwise it is only said: in ' +
        'every receipt, in the profile, in the metric eventmesh_store_durability_info and the log.',
      true,
    ),
    verifyEvery: duration('How often the live store is asked again.', {
      default: '30s',
      min: '1s',
      max: '1h',
    }),
  }),
  append: section('Appending.', {
    windowRecords: integer('Requests of one append stream that may wait for the store.', {
      min: 1,
      max: 10_000,
      default: 256,
    }),
    windowBytes: size('Bytes of records of one append stream that may wait for the store.', {
      default: '32MiB',
      min: '1MiB',
      max: '1GiB',
    }),
    pendingBytesMax: size(
      'Bytes of records of all append streams that may wait for the store; more is refused.',
      { default: '256MiB', min: '32MiB', max: '16GiB' },
    ),
  }),
  read: section('Reading.', {
    creditBytesMax: size(
      'Bytes that may be on their way to one reader, or read ahead for it; a reader that gives more credit gets so much.',
      { default: '64MiB', min: '256KiB', max: '1GiB' },
    ),
  }),
} as const;

const store = section('The store.', {
  kind: choice('Which plugin: LMDB in a folder, or a NATS JetStream cluster.', [
    'embedded',
    'jetstream',
  ]),
  dir: text('embedded: the data folder. One process at a time.', { default: './data/store' }),
  servers: list('jetstream: URLs of servers of one cluster.', text('nats://host:port or tls://…'), {
    maxItems: 16,
    default: ['nats://127.0.0.1:4222'],
  }),
  monitorUrls: list(
    'jetstream: HTTP monitoring endpoints of all servers, by which sync_interval: always is ' +
      'verified of each; the weakest server decides. Every address that a name resolves to is asked.',
    text('http(s)://host:port', { pattern: '^https?://', example: 'http://127.0.0.1:8222' }),
    { maxItems: 16 },
  ),
  replicas: integer('jetstream: copies of each stream, 1, 3 or 5.', { min: 1, max: 5, default: 1 }),
  groupsInFlightMax: integer('jetstream: group commits of one partition that may be under way.', {
    min: 1,
    max: 16,
    default: 3,
  }),
  singlesInFlightMax: integer(
    'jetstream: so few appends of one record each are sent one by one, so many at a time; 0: always in groups.',
    { min: 0, max: 250, default: 8 },
  ),
  credentials: optional(secret('jetstream: a NATS credentials file.')),
  tls: optional(tlsConfig),
});

/** Configuration of the service. */
export const storeGatewayConfig = section('The store-gateway: one surface over a store.', {
  // An emesher reads each partition of each tenant by a call of its own, and follows it for ever.
  ...serviceConfig(STORE_GATEWAY_PORT, 100_000),
  ...storeGatewaySettings,
  store,
});

export type StoreGatewayConfig = ConfigOf<typeof storeGatewayConfig>;

const settings = section('', storeGatewaySettings);
export type StoreGatewaySettings = ConfigOf<typeof settings>;
