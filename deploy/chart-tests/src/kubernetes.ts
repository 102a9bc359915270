/** The parts of Kubernetes objects that the tests look at. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
  readonly automountServiceAccountToken?: boolean;
}

export type Labels = Readonly<Record<string, string>>;

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: readonly { name: string; value?: string; valueFrom?: Record<string, unknown> }[];
  readonly envFrom?: unknown;
  readonly ports?: readonly { name: string; containerPort: number; hostPort?: number }[];
  readonly resources?: { requests?: Labels; limits?: Labels };
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly privileged?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly capabilities?: { drop?: readonly string[]; add?: readonly string[] };
    readonly seccompProfile?: { type: string };
  };
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { preStop?: { sleep?: { seconds: number } } };
  readonly volumeMounts?: readonly { name: string; mountPath: string; readOnly?: boolean }[];
}

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number };
}

export interface Volume {
  readonly name: string;
  readonly configMap?: { name: string };
  readonly secret?: { secretName: string; defaultMode?: number };
  readonly emptyDir?: unknown;
  readonly persistentVolumeClaim?: { claimName: string };
}

export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly imagePullSecrets?: readonly { name: string }[];
  readonly securityContext?: {
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly seccompProfile?: { type: string };
  };
  readonly topologySpreadConstraints?: readonly {
    readonly topologyKey: string;
    readonly labelSelector?: { matchLabels?: Labels };
  }[];
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
}

interface Workload {
  readonly replicas?: number;
  readonly serviceName?: string;
  readonly selector?: { matchLabels: Labels };
  readonly template?: { metadata: { labels: Labels; annotations?: Labels }; spec: PodSpec };
  readonly volumeClaimTemplates?: unknown;
}

export interface Pod {
  readonly owner: KubeObject;
  /** `Deployment/mesh-emesher`, for messages. */
  readonly title: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly spec: PodSpec;
}

export const titleOf = (object: KubeObject): string => `${object.kind}/${object.metadata.name}`;

export const workload = (object: KubeObject): Workload => object.spec as Workload;

/** Every pod that the objects would make. */
export function podsOf(objects: readonly KubeObject[]): Pod[] {
  const pods: Pod[] = [];
  for (const owner of objects) {
    const title = titleOf(owner);
    if (owner.kind === 'Pod') {
      const { labels = {}, annotations = {} } = owner.metadata;
      pods.push({ owner, title, labels, annotations, spec: owner.spec as PodSpec });
      continue;
    }
    const template = (owner.spec as Workload | undefined)?.template;
    if (template?.spec.containers === undefined) continue;
    const { labels, annotations = {} } = template.metadata;
    pods.push({ owner, title, labels, annotations, spec: template.spec });
  }
  return pods;
}

export const containersOf = (pod: Pod): Container[] => [
  ...(pod.spec.initContainers ?? []),
  ...pod.spec.containers,
];

export const ofKind = (objects: readonly KubeObject[], kind: string): KubeObject[] =>
  objects.filter((object) => object.kind === kind);

/** Whether a selector chooses these labels. */
export const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);
