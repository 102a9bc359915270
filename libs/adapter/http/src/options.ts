import {
  boolean,
  duration,
  integer,
  optional,
  port,
  section,
  size,
  text,
  type ConfigOf,
} from '@eventmesh/config';

/** Settings of the HTTP adapter; part of the emesher's configuration. */
export const httpAdapterConfig = section('The HTTP adapter: publish, SSE, pull and management.', {
  host: text('Address to listen on.', { default: '127.0.0.1' }),
  port: port('Port to listen on.', 8080),
  connectionsMax: integer('Connections at a time; more are closed at once.', {
    min: 1,
    max: 1_000_000,
    default: 10_000,
  }),
  unfinishedBytesMax: size(
    'Bytes of bodies that have come in part, of all requests together; beyond it requests are refused. At least the largest body counts.',
    { default: '64MiB', min: '1MiB', max: '64GiB' },
  ),
  batchEventsMax: integer('Events of one batch.', { min: 1, max: 10_000, default: 1000 }),
  batchBytesMax: size('Body of one batch.', { default: '8MiB', min: '64KiB', max: '256MiB' }),
  streamCredit: integer('Events on their way to one SSE consumer before its socket drains.', {
    min: 1,
    max: 4096,
    default: 64,
  }),
  streamBytesMax: size('Bytes on their way to one SSE consumer, and of the answer to one pull.', {
    default: '2MiB',
    min: '64KiB',
    max: '64MiB',
  }),
  pullMessagesMax: integer(
    'Refused settles, and gaps, that wait for a pull of one consumer; of the former the oldest are dropped, with more of the latter the consumer is detached.',
    { min: 16, max: 1_000_000, default: 65_536 },
  ),
  heartbeat: duration('Time between comments on an SSE stream.', {
    default: '15s',
    min: '100ms',
    max: '5m',
  }),
  stallMax: duration('An SSE consumer that reads nothing for this long is disconnected.', {
    default: '60s',
    min: '100ms',
    max: '1h',
  }),
  pullIdleMax: duration(
    'A pull consumer that neither pulls nor settles for this long is detached.',
    {
      default: '60s',
      min: '100ms',
      max: '1h',
    },
  ),
  docs: boolean('Serve the OpenAPI page under /docs.', true),
  docsAssets: optional(
    text(
      'Folder with the static files of the OpenAPI page. Default: those of the installed package.',
    ),
  ),
  tls: optional(
    section('HTTPS with PEM files.', {
      certFile: text('Certificate chain.', { example: '/etc/eventmesh/tls.crt' }),
      keyFile: text('Private key.', { example: '/etc/eventmesh/tls.key' }),
    }),
  ),
});

export type HttpAdapterOptions = ConfigOf<typeof httpAdapterConfig>;

/** Bounds of the server that protect the process and are not worth a setting. */
export const SERVER_LIMITS = Object.freeze({
  /** A whole request must have arrived in this time; a response may take longer. */
  requestTimeoutMs: 30_000,
  headersTimeoutMs: 10_000,
  keepAliveTimeoutMs: 75_000,
  /** How often the two above are looked at. */
  checkIntervalMs: 1000,
  headerBytesMax: 32 * 1024,
  headersMax: 256,
  /** Bodies of management calls. */
  managementBytesMax: 256 * 1024,
});
