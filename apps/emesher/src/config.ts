import {
  duration,
  integer,
  list,
  optional,
  secret,
  section,
  size,
  text,
  boolean,
  type ConfigOf,
} from '@eventmesh/config';
import { httpAdapterConfig } from '@eventmesh/adapter-http';
import { serviceConfig, tlsConfig } from '@eventmesh/lifecycle';
import { deliveryQueues, progressBounds } from './deliver/options.ts';
import { publishConfig } from './publish/options.ts';
import { replayConfig } from './replay/options.ts';
import { requestConfig } from './request/options.ts';

const remoteKeys = (example: string) => ({
  address: text('host:port of its gRPC server.', { example }),
  tls: optional(tlsConfig),
});

const remote = (what: string, example: string) =>
  section(`The ${what} service.`, remoteKeys(example));

/** What the data plane may hold and how it behaves; part of the emesher's configuration. */
export const dataPlaneConfig = {
  event: section('Limits of an event.', {
    bytesMax: size('Largest event in its protobuf encoding.', {
      default: '1MiB',
      min: '1KiB',
      max: '16MiB',
    }),
    attributesMax: integer('Most optional and extension attributes.', {
      min: 8,
      max: 1024,
      default: 64,
    }),
  }),
  log: section('The log of each tenant.', {
    partitions: integer(
      'Partitions; may grow later. Keys move to other partitions then: what an ordered subscription has not settled yet may come after what is published later, so let it run empty before.',
      { min: 1, max: 64, default: 1 },
    ),
    retention: duration('Age at which events are dropped; 0ms keeps them.', { default: '24h' }),
    retentionBytes: size(
      'Bytes of a partition beyond which the oldest are dropped; 0B: no limit.',
      {
        default: '10GiB',
      },
    ),
    duplicateWindow: integer('Events of a partition whose (tenant, source, id) is remembered.', {
      min: 0,
      max: 10_000_000,
      default: 100_000,
    }),
  }),
  publish: publishConfig,
  delivery: section('Delivering to consumers.', {
    heldMax: integer('Matched events of one subscription in memory; the rest waits in the store.', {
      min: 16,
      max: 1_000_000,
      default: 8192,
    }),
    heldBytesMax: size('Bytes of them.', { default: '64MiB', min: '64KiB' }),
    ...progressBounds,
    cursorInterval: duration(
      'How often progress is written; what is settled in between may be delivered again after a crash.',
      {
        default: '100ms',
        min: '1ms',
        max: '10s',
      },
    ),
    directQueueMax: integer(
      'Direct events waiting for one consumer; beyond it the oldest is dropped.',
      {
        min: 1,
        max: 1_000_000,
        default: 4096,
      },
    ),
    ...deliveryQueues,
  }),
  lease: section('The lease by which this emesher owns what it runs.', {
    ttl: duration(
      'Longest time from the death of this emesher to the end of its lease. Less: another one takes over sooner; more: longer pauses of the process or the network cost nothing.',
      { default: '5s', min: '1s', max: '60s' },
    ),
  }),
  deadLetters: section(
    'Events that a subscription gave up; governance may say otherwise for a tenant.',
    {
      retention: duration('Age at which they are dropped; 0ms keeps them.', { default: '30d' }),
      bytesMax: size(
        'Bytes of a tenant; at the limit nothing is given up: the events are held until there is room.',
        { default: '1GiB', min: '64KiB' },
      ),
      alarmPercent: integer('Percent of the bytes from which the alarm is raised.', {
        min: 1,
        max: 100,
        default: 80,
      }),
    },
  ),
  link: section('Links to neighbouring sites.', {
    windowBytes: size('Bytes of frames that a link may have unaccepted.', {
      default: '8MiB',
      min: '64KiB',
    }),
    directQueueMax: integer(
      'Messages waiting to be sent over a link, beyond which direct events are dropped.',
      { min: 1, max: 1_000_000, default: 1024 },
    ),
    answersMax: integer(
      'Answers that wait for the neighbour to read them; beyond it nothing is read of it.',
      { min: 16, max: 1_000_000, default: 4096 },
    ),
    progressInterval: duration(
      'How often a neighbour is told, and writes down, how far a link has looked past events that do not go there; what was looked at since is read again after a restart.',
      { default: '1s', min: '10ms', max: '60s' },
    ),
    hopsMax: integer('Sites an event may pass; beyond it is dropped and counted.', {
      min: 2,
      max: 64,
      default: 16,
    }),
  }),
  timers: section('Events that are published later.', {
    lateTolerance: duration('An event that is later than this is late; see its late policy.', {
      default: '60s',
      min: '1s',
    }),
    pendingMax: integer(
      'Most events of a tenant that wait; each takes 17 bytes of memory. While some are due, a tenant takes some 20 MiB more, however many they are, and up to 40 MiB when they are large.',
      {
        min: 1,
        max: 10_000_000,
        default: 1_000_000,
      },
    ),
    missedMax: integer(
      'Occurrences of a schedule that are made up for after a stop; those before are skipped.',
      { min: 1, max: 100_000, default: 1000 },
    ),
  }),
  replay: replayConfig,
  request: requestConfig,
  audit: section('Audit entries on their way to governance.', {
    spoolMax: integer('Entries held while governance is away; further ones are only counted.', {
      min: 100,
      max: 1_000_000,
      default: 10_000,
    }),
  }),
  trace: section('What `mesh trace` and `mesh why` can look back at.', {
    eventsMax: integer('Events remembered, with what happened to them: about 250 bytes each.', {
      min: 0,
      max: 10_000_000,
      default: 20_000,
    }),
    refusalsMax: integer('Refused events remembered, for `mesh why`.', {
      min: 0,
      max: 1_000_000,
      default: 1000,
    }),
    scanMax: integer(
      'Stored records that `mesh why` looks through for an event that is not remembered.',
      { min: 0, max: 100_000_000, default: 100_000 },
    ),
  }),
} as const;

export const emesherConfig = section('The emesher: the data plane of a site.', {
  ...serviceConfig(9090),
  protocols: section('Which protocols are served besides gRPC.', {
    http: boolean('HTTP.', true),
  }),
  http: httpAdapterConfig,
  services: section('The other services of the site.', {
    registry: remote('registry', 'registry:9091'),
    store: section('The store-gateway service.', {
      ...remoteKeys('store-gateway:9092'),
      pendingBytesMax: size('Bytes of records that wait for their receipts; more is refused.', {
        default: '256MiB',
        min: '32MiB',
        max: '16GiB',
      }),
      framesInFlightMax: integer('Frames of one partition that may be unanswered.', {
        min: 1,
        max: 256,
        default: 16,
      }),
      waitingCursorsMax: integer(
        'Cursors that wait to be written; more are refused and written later.',
        { min: 1000, max: 10_000_000, default: 1_000_000 },
      ),
    }),
    acl: remote('acl', 'acl:9093'),
    governance: remote('governance', 'governance:9094'),
  }),
  links: list(
    'Neighbouring sites.',
    section('A neighbour.', {
      site: text('Its name.', { example: 'east' }),
      address: text('host:port of its emesher.', { example: 'emesher.east.example:9090' }),
      tls: optional(tlsConfig),
    }),
  ),
  linkToken: optional(secret('Shared by neighbouring sites; needed for links.')),
  dataPlane: section('The data plane.', dataPlaneConfig),
});

export type EmesherConfig = ConfigOf<typeof emesherConfig>;
export type DataPlaneConfig = EmesherConfig['dataPlane'];
