import {
  choice,
  closed,
  DURATION,
  flag,
  integer,
  kubernetes,
  list,
  map,
  NAME_OR_EMPTY,
  ref,
  text,
  type Schema,
} from './schema-parts.ts';

const quantity = { anyOf: [{ type: 'string' }, { type: 'number' }] };

/** What several parts of the values share, under `definitions`. */
export const sharedDefinitions: Readonly<Record<string, Schema>> = {
  labels: map('Labels, as names to values.'),
  annotations: map('Annotations, as names to values.'),
  nodeSelector: map('Labels of the nodes that the pods may run on.'),
  tolerations: list(
    'Taints that the pods tolerate.',
    closed('One toleration.', {
      key: text('Key of the taint; empty means all.'),
      operator: choice('How the value is compared.', 'Exists', 'Equal', 'Lt', 'Gt'),
      value: text('Value of the taint.'),
      effect: choice('Effect of the taint.', 'NoSchedule', 'PreferNoSchedule', 'NoExecute'),
      tolerationSeconds: integer('How long NoExecute is tolerated, in seconds.', 0),
    }),
  ),
  affinity: closed('Affinity of the pods.', {
    nodeAffinity: kubernetes('Affinity to nodes.'),
    podAffinity: kubernetes('Affinity to pods.'),
    podAntiAffinity: kubernetes('Distance to pods.'),
  }),
  resources: closed('What a container asks for and may use.', {
    requests: map('What the scheduler sets aside, such as cpu and memory.', quantity),
    limits: map('What it may use at most.', quantity),
    claims: list('Dynamic resource claims.', kubernetes('One claim.')),
  }),
  image: closed('A container image.', {
    registry: text('Registry; empty takes the default of the cluster.'),
    repository: text('Repository, without registry.'),
    tag: text('Tag; empty takes the appVersion of the chart.'),
    digest: text('Digest such as sha256:…, which wins over the tag.', {
      pattern: '^(sha256:[0-9a-f]{64})?$',
    }),
    pullPolicy: choice('When the image is pulled.', 'Always', 'IfNotPresent', 'Never'),
  }),
  probe: closed('Timing of a probe.', {
    initialDelaySeconds: integer('Wait before the first, in seconds.', 0),
    periodSeconds: integer('Time between two, in seconds.', 1),
    timeoutSeconds: integer('How long one may take, in seconds.', 1),
    failureThreshold: integer('Failures in a row until it counts as failed.', 1),
    successThreshold: integer('Successes in a row until it counts as good again.', 1),
  }),
  persistence: closed('The volume of each member. None of it can change later.', {
    size: text('Size of the volume.', { pattern: '^[1-9][0-9]*(Mi|Gi|Ti)$' }),
    storageClassName: text('Storage class; empty takes the default of the cluster.'),
    accessMode: choice('Access mode.', 'ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany'),
    existingClaim: text('A claim to use instead; only with one replica.', NAME_OR_EMPTY),
    whenDeleted: choice('What becomes of claims on uninstall.', 'Retain', 'Delete'),
    whenScaled: choice('What becomes of claims of removed members.', 'Retain', 'Delete'),
  }),
  peers: list('NetworkPolicy peers.', ref('peer')),
  peer: closed('One NetworkPolicy peer.', {
    podSelector: kubernetes('Labels of the pods.'),
    namespaceSelector: kubernetes('Labels of the namespaces.'),
    ipBlock: closed('A range of addresses.', {
      cidr: text('Range in CIDR form.'),
      except: list('Ranges left out.', text('Range in CIDR form.')),
    }),
  }),
};

const podSecurityContext = closed('Security of the pods; the default is the restricted standard.', {
  runAsNonRoot: flag('Refuse to run as root.'),
  runAsUser: integer('User id.', 1),
  runAsGroup: integer('Group id.', 1),
  fsGroup: integer('Group of mounted volumes.', 1),
  fsGroupChangePolicy: choice('When ownership is changed.', 'Always', 'OnRootMismatch'),
  supplementalGroups: list('Further groups.', integer('Group id.', 1)),
  seccompProfile: kubernetes('System call filter.'),
  seLinuxOptions: kubernetes('SELinux labels.'),
  appArmorProfile: kubernetes('AppArmor profile.'),
});

const containerSecurityContext = closed('Security of the containers.', {
  allowPrivilegeEscalation: flag('Whether a child may gain more rights than its parent.'),
  readOnlyRootFilesystem: flag('Whether the root file system is read-only.'),
  runAsNonRoot: flag('Refuse to run as root.'),
  runAsUser: integer('User id.', 1),
  runAsGroup: integer('Group id.', 1),
  capabilities: closed('Linux capabilities.', {
    drop: list('Taken away.', text('Name.')),
    add: list('Given.', text('Name.')),
  }),
  seccompProfile: kubernetes('System call filter.'),
  seLinuxOptions: kubernetes('SELinux labels.'),
  appArmorProfile: kubernetes('AppArmor profile.'),
});

const count = (description: string): Schema => ({
  description,
  anyOf: [
    { type: 'integer', minimum: 0 },
    { type: 'string', pattern: '^[0-9]+%$' },
    { type: 'null' },
  ],
});

const service = closed('The Service object.', {
  type: choice('Type of the Service.', 'ClusterIP', 'NodePort', 'LoadBalancer'),
  annotations: ref('annotations'),
  loadBalancerClass: text('Class of the load balancer.'),
  loadBalancerSourceRanges: list('Ranges that may connect.', text('Range in CIDR form.')),
  externalTrafficPolicy: choice('Whether the client address is kept.', '', 'Cluster', 'Local'),
  nodePorts: closed('Fixed node ports, by port.', {
    grpc: integer('Node port of gRPC.', 1, 65_535),
    http: integer('Node port of HTTP.', 1, 65_535),
  }),
});

const disruption = closed('PodDisruptionBudget.', {
  enabled: flag('Whether there is one.'),
  maxUnavailable: count('Pods that may be away at a time.'),
  minAvailable: count('Pods that must stay, instead of maxUnavailable; below the replicas.'),
});

const spreadConstraint = closed('One topology spread constraint.', {
  maxSkew: integer('Largest difference between two domains.', 1),
  minDomains: integer('Least number of domains.', 1),
  topologyKey: text('Node label that names the domain.'),
  whenUnsatisfiable: choice(
    'What happens when it cannot be met.',
    'DoNotSchedule',
    'ScheduleAnyway',
  ),
  labelSelector: kubernetes("Which pods count; default: this service's."),
  matchLabelKeys: list('Pod labels whose values are added.', text('Label.')),
  nodeAffinityPolicy: choice('Whether node affinity counts.', 'Honor', 'Ignore'),
  nodeTaintsPolicy: choice('Whether taints count.', 'Honor', 'Ignore'),
});

/** The block that every service has, and `defaults` for all of them. */
export const workload: Readonly<Record<string, Schema>> = {
  replicas: integer('Number of pods.', 0),
  image: ref('image'),
  resources: ref('resources'),
  drainDeadline: text('How long draining may take, such as 25s.', DURATION),
  preStopSeconds: integer('Wait before the stop signal, in seconds.', 0),
  terminationGracePeriodSeconds: integer('More than preStopSeconds and drainDeadline.', 1),
  probes: closed('Timing of the probes; liveness asks /livez, readiness /readyz.', {
    startup: ref('probe'),
    liveness: ref('probe'),
    readiness: ref('probe'),
  }),
  updateStrategy: kubernetes('Strategy of the Deployment.'),
  pdb: disruption,
  topologySpread: closed('Spreading over hosts and zones.', {
    enabled: flag('Whether the pods are spread.'),
    whenUnsatisfiable: choice('When it cannot be met.', 'DoNotSchedule', 'ScheduleAnyway'),
  }),
  topologySpreadConstraints: list('Instead of topologySpread.', spreadConstraint),
  nodeSelector: ref('nodeSelector'),
  tolerations: ref('tolerations'),
  affinity: ref('affinity'),
  priorityClassName: text('Priority class.'),
  podLabels: ref('labels'),
  podAnnotations: ref('annotations'),
  serviceAccount: closed('The service account; it has no rights and no token.', {
    create: flag('Whether the chart makes it.'),
    name: text('Its name; empty takes the name of the service.', NAME_OR_EMPTY),
    annotations: ref('annotations'),
  }),
  podSecurityContext,
  containerSecurityContext,
  service,
  tls: closed('The certificate of this service.', {
    existingSecret: text('Secret with tls.crt, tls.key and ca.crt.', NAME_OR_EMPTY),
  }),
  extraEnv: list('Further environment variables.', kubernetes('One variable.')),
  extraVolumes: list('Further volumes.', kubernetes('One volume.', { required: ['name'] })),
  extraVolumeMounts: list('Further mounts.', kubernetes('One mount.', { required: ['name'] })),
  initContainers: list('Init containers.', kubernetes('One.', { required: ['name', 'image'] })),
  extraContainers: list('Side containers.', kubernetes('One.', { required: ['name', 'image'] })),
  extraIngress: list('Further NetworkPolicy ingress rules.', kubernetes('One rule.')),
  extraEgress: list('Further NetworkPolicy egress rules.', kubernetes('One rule.')),
};
