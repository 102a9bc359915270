import type { FastifyInstance, FastifySchema } from 'fastify';
import { RELEASE_DELAY_MS_MAX, START_FORMS } from '@eventmesh/delivery';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { filtersSchema } from './filter-schema.ts';

/**
 * What the OpenAPI document says of each route. Nothing is validated by these schemas: the handlers
 * do that, with errors that name the field.
 */
export type Shape = Readonly<Record<string, unknown>>;

export const text = (description: string): Shape => ({ type: 'string', description });
export const integer = (description: string, minimum: number, maximum: number): Shape => ({
  type: 'integer',
  description,
  minimum,
  maximum,
});
export const flag = (description: string): Shape => ({ type: 'boolean', description });
export const choice = (description: string, ...values: string[]): Shape => ({
  type: 'string',
  description,
  enum: values,
});

export const schema = (
  tag: 'publish' | 'subscribe' | 'subscriptions' | 'dead-letters' | 'inspect',
  summary: string,
  description: string,
  parts: {
    readonly params?: Readonly<Record<string, Shape>>;
    readonly query?: Readonly<Record<string, Shape>>;
    readonly body?: Shape;
    readonly consumes?: readonly string[];
    readonly produces?: readonly string[];
  } = {},
): FastifySchema => {
  const { params, query, body, consumes, produces } = parts;
  return {
    tags: [tag],
    summary,
    description,
    ...(params === undefined
      ? {}
      : { params: { type: 'object', properties: params, required: Object.keys(params) } }),
    ...(query === undefined ? {} : { querystring: { type: 'object', properties: query } }),
    ...(body === undefined ? {} : { body }),
    ...(consumes === undefined ? {} : { consumes }),
    ...(produces === undefined ? {} : { produces }),
  };
};

const name = text('Name of the subscription.');
const credit = integer('Events on their way at a time.', 1, 4096);
/** The greatest that http.streamBytesMax may be. */
const BYTES_MAX = 64 * 1024 * 1024;
const creditBytes = integer(
  'Bytes of events on their way at a time; one event more may use up the rest. At most, and by ' +
    'default, http.streamBytesMax, or one event of the largest size if that is more.',
  1,
  BYTES_MAX,
);
const consumer = text('Name of this consumer in status and for settling. Default: generated.');
const envelope = flag('Data is the delivery (topic, attempt, position, …) with the event inside.');
const convergeMs = integer('Wait for the interest to reach every reachable site.', 0, 60_000);

export const publishSchema = schema(
  'publish',
  'Publish an event or a batch',
  'Takes a CloudEvent in binary, structured or batch mode of the HTTP binding 1.0.2; anything else ' +
    'becomes an event of type eventmesh.message. Every level of the topic is percent-encoded on its ' +
    'own. 200: stored as durably as the receipt says; 202: handed over (direct); 207: a batch of ' +
    'which some were refused; problems are application/problem+json. With reply=wait the answer is ' +
    'the event that answers the request, in binary mode or as Accept says (application/cloudevents+json ' +
    'or +protobuf); 504: nobody answered in time; 400 with reason NO_INTEREST: nobody wants the topic.',
  {
    params: { '*': text('The topic, such as orders/eu/created.') },
    query: {
      delivery: choice('Delivery class; default as the topic says.', 'durable', 'direct'),
      expiresAfterMs: integer('Life of the event in ms.', 1, Number.MAX_SAFE_INTEGER),
      deliverAtMs: integer(
        'Publish it not before this, ms since the epoch; also as header ce-delivertime (RFC 3339).',
        1,
        Number.MAX_SAFE_INTEGER,
      ),
      deliverAfterMs: integer('The same as a delay.', 1, Number.MAX_SAFE_INTEGER),
      late: choice(
        'What becomes of a scheduled event that is late, as after a stop. Default: fire.',
        ...['fire', 'skip', 'dead-letter'],
      ),
      atomic: flag('All events of the batch, or none.'),
      reply: choice('Wait for the reply to this request.', 'none', 'wait'),
      timeoutMs: integer('How long to wait for it. Default 30000.', 1, 300_000),
    },
    body: { type: 'string', format: 'binary', description: 'Data, event or batch.' },
    consumes: [
      'application/octet-stream',
      'application/json',
      'application/cloudevents+json',
      'application/cloudevents-batch+json',
      'application/cloudevents+protobuf',
    ],
    produces: ['application/json', 'application/problem+json'],
  },
);

export const subscriptionEventsSchema = schema(
  'subscribe',
  'Consume a subscription as server-sent events',
  'Each event carries a structured JSON CloudEvent as data and a token as id. With ack=auto it is ' +
    'accepted once written to the socket, so a broken connection may lose what was on its way unless ' +
    'the client comes back; with ack=explicit only a settle call accepts (at least once). On ' +
    'Last-Event-ID, what a broken ack=auto connection had written up to that id counts as accepted. ' +
    'The events opened, gap and ended tell of the stream itself. With replayFrom the stream is a ' +
    'replay lane: a part of the past, apart from the live deliveries, whose events carry the ' +
    'attribute meshreplay; it ends with an ended event of reason COMPLETE and is not resumed.',
  {
    params: { name },
    query: {
      replayFrom: text(`Begin of a replay: ${START_FORMS}.`),
      replayTo: text('Up to events stored before this ISO 8601 time. Default: what is stored now.'),
      rateMax: integer('Events a second at most; 0: as fast as they are read.', 0, 1_000_000),
      replayExpired: flag('Deliver events whose life has ended, too; else they are skipped.'),
      ack: choice('How events are accepted.', 'auto', 'explicit'),
      credit,
      creditBytes,
      consumer,
      envelope,
      convergeMs,
    },
    produces: ['text/event-stream'],
  },
);

export const eventsSchema = schema(
  'subscribe',
  'Consume topics as server-sent events',
  'An ephemeral subscription for as long as the connection lives. After a break, Last-Event-ID goes on ' +
    'behind that event. In the query a plus sign stands for itself; encode # as %23.',
  {
    query: {
      topic: {
        type: 'array',
        items: { type: 'string' },
        description: 'Topic filters; repeatable.',
      },
      filter: text('A CloudEvents filter, or a list of them, as JSON; repeatable.'),
      start: text(`Where to begin: ${START_FORMS}. Default latest.`),
      delivery: choice('Delivery class.', 'durable', 'direct'),
      credit,
      creditBytes,
      consumer,
      envelope,
      convergeMs,
    },
    produces: ['text/event-stream'],
  },
);

const pullParameters = {
  max: integer('Most deliveries. Default 100.', 1, 1000),
  maxBytes: integer(
    'Most bytes of events as they are published; the first comes however large it is, and of the ' +
      'direct class one event more may. At most, and by default, http.streamBytesMax, or one event of ' +
      'the largest size if that is more.',
    1,
    BYTES_MAX,
  ),
  waitMs: integer(
    'Longest wait. Default 0: only what is there already. To the first one that consumes a ' +
      'subscription nothing is, since it is read from the store only then.',
    0,
    30_000,
  ),
  consumer: text(
    'Name of this consumer, to settle by. Default: one for all pulls of the caller, which take turns.',
  ),
};

export const pullSchema = schema(
  'subscribe',
  'Pull deliveries (long poll)',
  'Waits for at least one delivery and returns up to max; settle them by id. Parameters are given in ' +
    'the query or in a JSON body, each in one of them. The time to acknowledge begins with the answer. ' +
    'Ids in "refused" were settled too late or at another owner: those events come again. The consumer ' +
    'lives between pulls on this emesher, with what is unsettled, and is detached when it is idle.',
  {
    params: { name },
    query: pullParameters,
    body: { type: 'object', properties: pullParameters },
  },
);

export const settleSchema = schema(
  'subscribe',
  'Settle deliveries',
  'Of pull consumers and of streams with ack=explicit, on the emesher that holds them. Answers how ' +
    'many were "settled" (left out for a cumulative settle while the subscription runs at another ' +
    'emesher) and which ids were "unknown".',
  {
    params: { name },
    body: {
      type: 'object',
      required: ['ids', 'outcome'],
      properties: {
        ids: {
          type: 'array',
          maxItems: 1000,
          items: { oneOf: [{ type: 'integer' }, { type: 'string' }] },
          description: 'Delivery ids, or ids of SSE events.',
        },
        outcome: choice('What became of them.', 'accept', 'release', 'reject', 'renew'),
        delayMs: integer(
          'Release: not again before; no failure is counted.',
          0,
          RELEASE_DELAY_MS_MAX,
        ),
        reason: text(
          'Reject: why. Default: rejected. 256 characters are kept with the dead letter.',
        ),
        cumulative: flag('Every earlier delivery of the consumer, too.'),
        consumer,
      },
    },
  },
);

const settings = {
  name,
  topicFilters: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 64 },
  filters: filtersSchema,
  deliveryClass: choice('Default durable.', 'durable', 'direct'),
  mode: choice('Default shared.', 'shared', 'exclusive', 'broadcast'),
  start: {
    type: 'object',
    description:
      '{kind: latest | earliest}, {kind: time, timeMs}, {kind: position, partition, position}, ' +
      'or {kind: after, source, id}',
  },
  retry: {
    type: 'object',
    description:
      '{kind: none | linear | exponential | list, delayMs, delayMaxMs, attemptsMax, delaysMs, ' +
      'ageMaxMs}; of a new one, what is left out has its default',
  },
  deadLetter: flag('Keep what cannot be delivered. Default true.'),
  deadLetterExpired: flag('Keep what expired before it could be delivered, too. Default false.'),
  ackTimeoutMs: integer('Default 30000.', 1000, 43_200_000),
  inFlightMax: integer('Default 1024.', 1, 65_536),
  ephemeral: flag('Vanishes with its last consumer. Default false.'),
  ordered: flag('Events of one key one after the other.'),
  paused: flag('Deliver nothing for now.'),
};
const subscription: Shape = {
  type: 'object',
  required: ['name', 'topicFilters'],
  properties: settings,
};
const change: Shape = {
  type: 'object',
  properties: {
    ...settings,
    revision: integer(
      'Change it only while this is its revision. Default 0: whatever it is.',
      0,
      Number.MAX_SAFE_INTEGER,
    ),
  },
};

const tag = 'subscriptions';
const params = { name };
export const manageSchemas = {
  create: schema(tag, 'Create a subscription', '409 when it exists with another spec.', {
    body: subscription,
  }),
  list: schema(tag, 'List subscriptions', 'With their books, in pages.', {
    query: { size: integer('Default 100.', 1, 1000), token: text('nextToken of the last page.') },
  }),
  get: schema(tag, 'Show a subscription', 'With its books.', { params }),
  update: schema(
    tag,
    'Update a subscription',
    'Changes what is given; what is left out stays as it is, in retry field by field. Name, start, mode, ' +
      'deliveryClass and ephemeral stay as they were made. 409 when a revision was given and is not the ' +
      'present one: read it again, and give that one.',
    {
      params,
      body: change,
    },
  ),
  delete: schema(tag, 'Delete a subscription', 'With its cursor; unsettled events are dropped.', {
    params,
  }),
  pause: schema(tag, 'Pause or resume a subscription', 'Consumers stay attached.', {
    params,
    body: { type: 'object', required: ['paused'], properties: { paused: flag('False resumes.') } },
  }),
  seek: schema(tag, 'Move a subscription', 'What is unsettled is forgotten.', {
    params,
    body: { type: 'object', required: ['start'], properties: { start: { type: 'object' } } },
  }),
  trace: schema('inspect', 'Trace an event', 'What happened to it, hop by hop.', {
    params: { id: text('Id of the event.') },
    query: { source: text('Its source, when the id alone is not unique.') },
  }),
  sites: schema('inspect', 'Sites, links and routes', 'The mesh as this site sees it.'),
  ledger: schema(
    'inspect',
    'The ledger',
    'accepted = delivered + filtered + … for each subscription.',
  ),
  checkLedger: schema(
    'inspect',
    'Reconcile the ledger with the store',
    'Compares each counter with what the store has; a finding whose verdict is difference says what ' +
      'it may mean. Exact only while nothing is under way.',
  ),
  why: schema(
    'inspect',
    'Why an event was delivered, or not',
    'For each subscription of the tenant at every site, each link and the gate: what became of the ' +
      'event and what decided.',
    {
      params: { id: text('Id of the event.') },
      query: {
        source: text('Its source, when the id alone is not unique.'),
        subscription: text('Only this subscription.'),
      },
    },
  ),
  store: schema(
    'inspect',
    'The store',
    'Its durability class, how that was found out, what would make it stronger, the logs of the ' +
      'tenant, and the topics that demand more.',
  ),
  topics: schema('inspect', 'Topics', 'Seen or catalogued here.'),
} as const;

/** Registers the document's making; before the routes. */
export async function registerOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'EventMesh HTTP API',
        description: 'Publish and consume CloudEvents, manage subscriptions, look at the mesh.',
        version: '1',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          basic: { type: 'http', scheme: 'basic' },
        },
      },
      security: [{ bearer: [] }, { basic: [] }],
    },
    transform: ({ schema: given, url }) => ({
      schema: given === undefined ? given : withTopic(given),
      url: url.replace('/*', '/{topic}'),
    }),
  });
}

/** OpenAPI has no rest-of-path parameter; `topic` is what comes closest. */
function withTopic(given: FastifySchema): FastifySchema {
  const { params: path } = given as { params?: { properties?: Record<string, Shape> } };
  const topic = path?.properties?.['*'];
  if (topic === undefined) return given;
  return { ...given, params: { type: 'object', properties: { topic }, required: ['topic'] } };
}

/** Serves the document, and its page unless that is off. After the routes. */
export async function registerDocs(
  app: FastifyInstance,
  options: { readonly docs: boolean; readonly docsAssets: string | undefined },
): Promise<void> {
  app.get('/v1/openapi.json', { schema: { hide: true } }, (_, reply) =>
    reply.header('content-type', 'application/json').send(JSON.stringify(app.swagger())),
  );
  if (!options.docs) return;
  const { docsAssets: baseDir } = options;
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    ...(baseDir === undefined ? {} : { baseDir }),
  });
}
