import type { DeliveryClass } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import type { EventView } from '@eventmesh/event';

/** What the catalogue says of a topic. */
export interface TopicPolicy {
  readonly deliveryClass: DeliveryClass | undefined;
  /** 0: the emesher's own limit. */
  readonly eventBytesMax: number;
  /** Empty: any type. */
  readonly eventTypes: readonly string[];
  /** Refuse when the store is weaker; undefined: whatever it is. */
  readonly durabilityMin: string | undefined;
}

export interface AuditFact {
  readonly tenant: string;
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  readonly outcome: 'done' | 'refused';
  readonly reason: string;
}

/** The rules of governance as the gate asks them: no call leaves the process. */
export interface Policies {
  /** Raised with every change of the rules. */
  readonly revision: number;
  topicPolicy(tenant: string, topic: string): TopicPolicy | undefined;
  /** Why the data does not satisfy the schema of its type, if it does not. */
  schemaProblem(tenant: string, event: EventView): MeshError | undefined;
  /** Takes from the quotas; answers how long to wait, in ms, when one is used up, else 0. */
  takeQuota(tenant: string, principal: string, bytes: number): number;
  audit(fact: AuditFact): void;
}
