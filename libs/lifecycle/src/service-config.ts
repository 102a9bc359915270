import {
  choice,
  duration,
  integer,
  optional,
  port,
  secret,
  section,
  size,
  text,
  type ConfigOf,
} from '@eventmesh/config';

/** PEM files of a TLS connection. */
export const tlsConfig = section('TLS with PEM files.', {
  certFile: optional(text('Certificate chain of this side.')),
  keyFile: optional(text('Private key of this side.')),
  caFile: optional(text('Trust bundle by which the other side is verified.')),
});

const serverTlsConfig = section('TLS with PEM files.', {
  certFile: text('Certificate chain of this server.', { example: '/run/eventmesh/tls/tls.crt' }),
  keyFile: text('Its private key.', { example: '/run/eventmesh/tls/tls.key' }),
  caFile: optional(text('Trust bundle by which client certificates are verified.')),
  clientCertificates: choice(
    'Whether callers must show a certificate that caFile trusts. An emesher whose clients identify ' +
      'themselves by user, key or token has "none".',
    ['required', 'none'],
    { default: 'required' },
  ),
});

/**
 * Settings that every service has. An app adds its own and passes the default gRPC port and, when
 * the few that call it need many calls each, their number.
 */
export const serviceConfig = (grpcPort: number, streamsMax = 1000) =>
  ({
    site: text('Name of the site this service belongs to, the same for all its services.', {
      pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
      example: 'west',
    }),
    memberId: optional(text('Unique name of this process in its site. Default: generated.')),
    grpc: section('The gRPC server.', {
      host: text('Address to listen on.', { default: '127.0.0.1' }),
      port: port('Port of the gRPC server.', grpcPort),
      advertise: optional(text('host:port that others reach it under. Default: where it listens.')),
      connectionsMax: integer('Connections at a time; more are closed at once.', {
        min: 1,
        max: 1_000_000,
        default: 10_000,
      }),
      unfinishedBytesMax: size(
        'Bytes of messages that have come in part, of all calls together; beyond it calls are refused.',
        { default: '64MiB', min: '17MiB', max: '64GiB' },
      ),
      streamsMax: integer(
        'Calls that one connection may have open; its client keeps further ones.',
        {
          min: 1,
          max: 1_000_000,
          default: streamsMax,
        },
      ),
      firstMessage: duration(
        'Longest wait for the first message of a call; streams that have begun may be idle.',
        { default: '10s', min: '1s', max: '10m' },
      ),
      tls: optional(serverTlsConfig),
    }),
    admin: section('The HTTP server of /livez, /readyz and /metrics.', {
      host: text('Address to listen on.', { default: '127.0.0.1' }),
      port: port('Port of the admin server.', 9464),
    }),
    log: section('Logging to standard output, one JSON object a line.', {
      level: choice('Least level written.', ['debug', 'info', 'warn', 'error', 'silent'], {
        default: 'info',
      }),
    }),
    tracing: section('OpenTelemetry spans.', {
      otlpUrl: optional(
        text('OTLP over HTTP, such as http://collector:4318/v1/traces. Default: no spans.'),
      ),
      samplePercent: integer('Share of new traces that are sampled.', {
        min: 0,
        max: 100,
        default: 100,
      }),
      spansMax: integer('Spans that wait for the collector; further ones are dropped.', {
        min: 16,
        max: 1_000_000,
        default: 2048,
      }),
    }),
    drain: section('Stopping.', {
      deadline: duration('Longest time from the signal to the end of the process.', {
        default: '20s',
        min: '1s',
        max: '10m',
      }),
    }),
    serviceToken: optional(
      secret('Shared by the services of a site; required from callers of the internal APIs.'),
    ),
  }) as const;

const sample = section('', serviceConfig(0));
/** The compiled form of what every service has. */
export type ServiceConfig = ConfigOf<typeof sample>;
