import {
  choice,
  closed,
  DURATION,
  flag,
  integer,
  kubernetes,
  list,
  NAME,
  NAME_OR_EMPTY,
  ref,
  SITE,
  text,
  type Schema,
} from './schema-parts.ts';
import { sharedDefinitions, workload } from './schema-workload.ts';

/** The services: key of the values, and app. */
export const SERVICES = {
  emesher: 'emesher',
  registry: 'registry',
  acl: 'acl',
  governance: 'governance',
  storeGateway: 'store-gateway',
} as const;

export type ServiceKey = keyof typeof SERVICES;

const when = (property: string, then: Schema): Schema => ({
  if: { properties: { [property]: { const: true } }, required: [property] },
  then,
});

const link = closed(
  'One neighbouring site.',
  {
    site: text('Name of the neighbour.', SITE),
    address: text('host:port of its emeshers.', { pattern: '^[^/\\s]+:[0-9]+$' }),
    registryAddress: text('host:port of its registry.', { pattern: '^[^/\\s]+:[0-9]+$' }),
    cost: integer('Cost of the link for routing; default 1.', 1, 65_535),
    tls: closed(
      'mTLS towards the neighbour.',
      { existingSecret: text('Secret with tls.crt, tls.key and ca.crt.', NAME) },
      { required: ['existingSecret'] },
    ),
    tokenSecret: closed(
      'Token that sites show each other; the same for all links.',
      {
        name: text('Name of the Secret.', NAME),
        key: text('Key in the Secret.', { minLength: 1 }),
      },
      { required: ['name', 'key'] },
    ),
  },
  { required: ['site', 'address', 'registryAddress', 'tokenSecret'] },
);

const backend = (description: string, own: Readonly<Record<string, Schema>>, more: Schema) =>
  closed(
    description,
    {
      bundled: flag('Whether the chart runs a small one of its own.'),
      ...own,
      existingSecret: text('Secret with its credentials; only for an existing one.', NAME_OR_EMPTY),
      key: text('Key in that Secret.', { minLength: 1 }),
      tls: closed('TLS towards it; the bundled one also serves with it.', {
        enabled: flag('Whether connections are encrypted and mutually verified.'),
        existingSecret: text('Secret with ca.crt, tls.crt and tls.key.', NAME_OR_EMPTY),
      }),
      replicas: integer('Members of the bundled one, or copies kept by an existing one.', 1, 5),
      image: ref('image'),
      resources: ref('resources'),
      persistence: ref('persistence'),
      terminationGracePeriodSeconds: integer('Time to stop, in seconds.', 1),
      nodeSelector: ref('nodeSelector'),
      tolerations: ref('tolerations'),
      affinity: ref('affinity'),
      priorityClassName: text('Priority class.'),
    },
    more,
  );

/** An existing back end must be named; the bundled one needs no more than its defaults. */
const existingNeeds = (property: string): Schema => ({
  if: { properties: { bundled: { const: false } }, required: ['bundled'] },
  then: { properties: { [property]: { minItems: 1 } }, required: [property] },
});

const etcd = backend(
  'Control state of registry, acl and governance.',
  {
    endpoints: list(
      'Client URLs of an existing etcd.',
      text('URL.', { pattern: '^https?://[^/\\s]+$' }),
    ),
    username: text('User of an existing etcd.'),
    quotaBackendBytes: integer('Largest database of the bundled etcd, in bytes.', 16_777_216),
  },
  existingNeeds('endpoints'),
);

const nats = backend(
  'The store behind store-gateway.',
  {
    servers: list(
      'URLs of an existing NATS.',
      text('URL.', { pattern: '^(nats|tls)://[^/\\s]+$' }),
    ),
    monitorUrls: list(
      'HTTP monitoring endpoints of all servers of an existing NATS.',
      text('URL.', { pattern: '^https?://[^\\s]+$' }),
    ),
  },
  existingNeeds('servers'),
);

const networkPolicy = closed('Default deny, and one edge per real dependency.', {
  enabled: flag('Whether there are any.'),
  clients: ref('peers', 'Who may connect to the emeshers.'),
  monitoring: ref('peers', 'Who may scrape the admin port.'),
  dns: ref('peers', 'Where DNS answers.'),
  external: closed('Where what lies outside the release is.', {
    etcd: ref('peers', 'Where an existing etcd is.'),
    nats: ref('peers', 'Where an existing NATS and its monitoring endpoint are.'),
    otlp: ref('peers', 'Where the OTLP collector is.'),
    links: ref('peers', 'Where linked sites are and come from.'),
  }),
});

const ingress = closed(
  'Ingress to the HTTP adapter.',
  {
    enabled: flag('Whether there is one.'),
    className: text('Ingress class; empty takes the default of the cluster.'),
    annotations: ref('annotations'),
    hosts: list(
      'Host names.',
      closed(
        'One host.',
        {
          host: text('Host name.', { minLength: 1 }),
          paths: list(
            'Paths; default /.',
            closed(
              'One path.',
              {
                path: text('Path.', { pattern: '^/' }),
                pathType: choice('How it matches.', 'Exact', 'Prefix', 'ImplementationSpecific'),
              },
              { required: ['path'] },
            ),
          ),
        },
        { required: ['host'] },
      ),
    ),
    tls: list(
      'TLS of the hosts.',
      closed('One certificate.', {
        hosts: list('Its hosts.', text('Host name.')),
        secretName: text('Secret with tls.crt and tls.key.', NAME),
      }),
    ),
  },
  when('enabled', { properties: { hosts: { minItems: 1 } }, required: ['hosts'] }),
);

const relabelings = (which: string) => list(which, kubernetes('One rule.'));

const metrics = closed('Monitoring.', {
  podAnnotations: flag('prometheus.io/* annotations on the pods.'),
  serviceMonitor: closed('ServiceMonitor objects; they need the Prometheus operator.', {
    enabled: flag('Whether there are any.'),
    labels: ref('labels'),
    interval: text('Time between scrapes.', DURATION),
    scrapeTimeout: text('Longest scrape; less than the interval.', DURATION),
    relabelings: relabelings('Rules on targets.'),
    metricRelabelings: relabelings('Rules on metrics.'),
  }),
  prometheusRule: closed('Alert rules; they need the Prometheus operator.', {
    enabled: flag('Whether there are any.'),
    labels: ref('labels'),
    runbookUrl: text('Page with the runbooks; the name of the alert is the anchor.'),
  }),
  dashboards: closed('Grafana dashboards as a ConfigMap for the sidecar.', {
    enabled: flag('Whether there are any.'),
    label: text('Label by which the sidecar finds it.', { minLength: 1 }),
    labelValue: text('Value of that label.'),
    annotations: ref('annotations'),
  }),
});

const emesherOnly: Readonly<Record<string, Schema>> = {
  http: closed('The HTTP adapter.', { enabled: flag('Whether it runs.') }),
  hpa: closed('HorizontalPodAutoscaler; replicas is not used while it is enabled.', {
    enabled: flag('Whether there is one.'),
    minReplicas: integer('Least pods.', 1),
    maxReplicas: integer('Most pods.', 1),
    targetCPUUtilizationPercentage: integer('Load that it aims at.', 1, 100),
    scaleDownStabilizationSeconds: integer('Quiet time before scaling down, in seconds.', 0, 3600),
  }),
};

const aclOnly: Readonly<Record<string, Schema>> = {
  bootstrap: closed('Users, roles and policies to begin with.', {
    existingSecret: text('Secret with the YAML file.', NAME_OR_EMPTY),
    key: text('Key in that Secret.', { minLength: 1 }),
  }),
};

const secretKey = (description: string): Schema =>
  closed(description, {
    existingSecret: text('Name of the Secret.', NAME_OR_EMPTY),
    key: text('Key in the Secret.', { minLength: 1 }),
  });

const top: Readonly<Record<string, Schema>> = {
  nameOverride: text("Replaces the chart's part of object names.", NAME_OR_EMPTY),
  fullnameOverride: text('Replaces the whole prefix of object names.', NAME_OR_EMPTY),
  commonLabels: ref('labels'),
  commonAnnotations: ref('annotations'),
  global: closed('Values shared with a parent chart.', {
    imageRegistry: text('Replaces the registry of every image.'),
    imagePullSecrets: list('Image pull Secrets.', text('Name.', NAME)),
  }),
  site: closed('This site.', {
    name: text("Name of the site in the mesh; empty takes the release's name.", {
      pattern: '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$',
    }),
  }),
  links: list('Neighbouring sites.', link),
  serviceToken: secretKey('Token by which the services of the site know one another.'),
  tls: closed('mTLS between the services.', {
    enabled: flag('Whether it is on.'),
    existingSecret: text('Secret with tls.crt, tls.key and ca.crt for all.', NAME_OR_EMPTY),
    trustDomain: text('SPIFFE trust domain of issued certificates.', { minLength: 1 }),
    issuerRef: closed('cert-manager issuer that makes a certificate per service.', {
      name: text('Name of the issuer.', NAME_OR_EMPTY),
      kind: text('Kind of the issuer.'),
      group: text('API group of the issuer.'),
    }),
    duration: text('Life of a certificate.', DURATION),
    renewBefore: text('When it is renewed, before its end.', DURATION),
  }),
  log: closed('Logging.', {
    level: choice('Least level written.', 'debug', 'info', 'warn', 'error', 'silent'),
  }),
  tracing: closed('OpenTelemetry spans.', {
    otlpUrl: text('OTLP over HTTP; empty: no spans.', { pattern: '^(https?://[^\\s]+)?$' }),
    samplePercent: integer('Share of new traces that are sampled.', 0, 100),
  }),
  defaults: closed('What all services share and each may override.', {
    ...workload,
    config: closed('Only per service.', {}),
  }),
  etcd,
  nats,
  networkPolicy,
  ingress,
  metrics,
  cli: closed('The mesh command line, for `helm test` and the toolbox.', {
    image: ref('image'),
    resources: ref('resources'),
    existingSecret: text('Secret with the token of a principal that may do it.', NAME_OR_EMPTY),
    key: text('Key in that Secret.', { minLength: 1 }),
  }),
  test: closed('`helm test`.', {
    enabled: flag('Whether there is a test.'),
    topic: text('Topic that it publishes to and receives from.', { minLength: 1 }),
  }),
  toolbox: closed('A pod with the mesh command line.', { enabled: flag('Whether it runs.') }),
  extraObjects: {
    description: 'Further objects of the release, as objects or as templates in text.',
    type: 'array',
    items: { anyOf: [kubernetes('One object.'), { type: 'string' }] },
  },
};

/** The schema of values.yaml. `configs` holds the schema of each service's configuration file. */
export function valuesSchema(configs: Readonly<Record<ServiceKey, Schema>>): Schema {
  const services = Object.keys(SERVICES).map((key) => [
    key,
    closed(`The ${SERVICES[key as ServiceKey]} service.`, {
      ...workload,
      ...(key === 'emesher' ? emesherOnly : {}),
      ...(key === 'acl' ? aclOnly : {}),
      config: configs[key as ServiceKey],
    }),
  ]);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...closed('Values of the eventmesh chart.', { ...top, ...Object.fromEntries(services) }),
    definitions: sharedDefinitions,
  };
}
