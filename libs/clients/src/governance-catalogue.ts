import { isJsonContentType, topicMatches } from '@eventmesh/event';
import {
  EventType_Enforcement as Enforcement,
  type EventType,
  type Topic,
} from '@eventmesh/proto-gen/governance';
import type { DeliveryClass, DurabilityClass } from '@eventmesh/proto-gen/event';
import { MeshError } from '@eventmesh/errors';
import { compileSchema, type SchemaCheck } from './governance-schema.ts';

/** What the catalogue says about a topic. */
export interface TopicPolicy {
  readonly topicFilter: string;
  readonly deliveryClass: DeliveryClass;
  /** Age at which its events end, in ms; 0 for no rule. */
  readonly retentionMs: number;
  readonly durabilityMin: DurabilityClass;
  /** Largest event in bytes; 0 for the emesher's limit. */
  readonly eventBytesMax: number;
  readonly revision: number;
  /** Whether events of this CloudEvents `type` may be published to it. */
  allowsType(type: string): boolean;
}

/** What became of a check against an event type's schema. */
export type SchemaVerdict =
  | { readonly kind: 'ok' }
  /** `refuse` the event, or accept it, count and audit (`warn`). */
  | { readonly kind: 'refuse' | 'warn'; readonly type: string; readonly message: string };

const OK: SchemaVerdict = Object.freeze({ kind: 'ok' });
/** Topics whose entry is remembered; beyond it the memory is emptied and starts anew. */
const TOPICS_REMEMBERED_MAX = 10_000;

interface CompiledType {
  readonly type: EventType;
  /** Compiled when first asked for, or when there is time before. */
  check: SchemaCheck | undefined;
}

/** The topics and event types of the policy, arranged for being asked once for each event. */
export class Catalogue {
  readonly #topics = new Map<string, Topic>();
  readonly #types = new Map<string, CompiledType>();
  readonly #dataBytesMax: number;
  /** Per tenant, most specific first; made when first asked after a change. */
  #ordered = new Map<string, TopicPolicy[]>();
  readonly #remembered = new Map<string, TopicPolicy | undefined>();

  /** @param dataBytesMax larger data is not checked, and refused where a schema must hold. */
  constructor(dataBytesMax: number) {
    this.#dataBytesMax = dataBytesMax;
  }

  setTopic(topic: Topic): void {
    this.#topics.set(keyOf(topic.tenant, topic.topicFilter), topic);
    this.#topicsChanged();
  }

  deleteTopic(topic: Topic): void {
    this.#topics.delete(keyOf(topic.tenant, topic.topicFilter));
    this.#topicsChanged();
  }

  setType(type: EventType): void {
    const key = keyOf(type.tenant, type.type);
    const before = this.#types.get(key);
    const kept = before?.type.jsonSchema === type.jsonSchema ? before.check : undefined;
    this.#types.set(key, { type, check: kept });
  }

  deleteType(type: EventType): void {
    this.#types.delete(keyOf(type.tenant, type.type));
  }

  reset(topics: readonly Topic[], types: readonly EventType[]): void {
    this.#topics.clear();
    for (const topic of topics) this.#topics.set(keyOf(topic.tenant, topic.topicFilter), topic);
    this.#topicsChanged();
    const kept = new Set(types.map(({ tenant, type }) => keyOf(tenant, type)));
    for (const key of this.#types.keys()) if (!kept.has(key)) this.#types.delete(key);
    for (const type of types) this.setType(type);
  }

  /** The most specific entry whose filter matches the topic. */
  topicPolicy(tenant: string, topic: string): TopicPolicy | undefined {
    const key = keyOf(tenant, topic);
    if (this.#remembered.has(key)) return this.#remembered.get(key);
    const found = this.#of(tenant).find(({ topicFilter }) => topicMatches(topicFilter, topic));
    if (this.#remembered.size >= TOPICS_REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(key, found);
    return found;
  }

  /** The entries of a tenant, the most specific first. */
  topicPolicies(tenant: string): readonly TopicPolicy[] {
    return this.#of(tenant);
  }

  checkSchema(
    tenant: string,
    type: string,
    contentType: string | undefined,
    data: Uint8Array,
  ): SchemaVerdict {
    const compiled = this.#types.get(keyOf(tenant, type));
    if (compiled === undefined || compiled.type.jsonSchema === '') return OK;
    if (contentType === undefined || !isJsonContentType(contentType)) return OK;
    const message = this.#problem(compiled, data);
    if (message === undefined) return OK;
    const warns = compiled.type.enforcement === Enforcement.WARN;
    return { kind: warns ? 'warn' : 'refuse', type, message };
  }

  /** Compiles one schema that has not been needed yet; false when there is none left. */
  compileNext(): boolean {
    for (const compiled of this.#types.values()) {
      if (compiled.check === undefined && compiled.type.jsonSchema !== '') {
        this.#checkOf(compiled);
        return true;
      }
    }
    return false;
  }

  #problem(compiled: CompiledType, data: Uint8Array): string | undefined {
    if (data.byteLength > this.#dataBytesMax) {
      return `data has ${data.byteLength} bytes; with a schema at most ${this.#dataBytesMax}`;
    }
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
    } catch {
      // The engine's text would repeat parts of the data.
      return 'data is not JSON in UTF-8, as its content type says';
    }
    return this.#checkOf(compiled)(value);
  }

  #checkOf(compiled: CompiledType): SchemaCheck {
    compiled.check ??= compiledOrFailing(compiled.type.jsonSchema);
    return compiled.check;
  }

  #topicsChanged(): void {
    this.#ordered = new Map();
    this.#remembered.clear();
  }

  #of(tenant: string): TopicPolicy[] {
    let ordered = this.#ordered.get(tenant);
    if (ordered === undefined) {
      ordered = [...this.#topics.values()]
        .filter((topic) => topic.tenant === tenant)
        .sort((a, b) => compareSpecificity(a.topicFilter, b.topicFilter))
        .map(topicPolicy);
      // Not for any name a caller comes up with.
      if (ordered.length > 0) this.#ordered.set(tenant, ordered);
    }
    return ordered;
  }
}

/** The service refuses such schemas; one that came through all the same lets nothing pass. */
function compiledOrFailing(source: string): SchemaCheck {
  try {
    return compileSchema(source);
  } catch (error) {
    const message = `the event type's schema cannot be used: ${MeshError.from(error).message}`;
    return () => message;
  }
}

function topicPolicy(topic: Topic): TopicPolicy {
  const types = new Set(topic.eventTypes);
  return {
    topicFilter: topic.topicFilter,
    deliveryClass: topic.deliveryClass,
    retentionMs: Number(topic.retentionMs),
    durabilityMin: topic.durabilityMin,
    eventBytesMax: Number(topic.eventBytesMax),
    revision: Number(topic.revision),
    allowsType: (type) => types.size === 0 || types.has(type),
  };
}

/** Level by level from the left: a name is more specific than `+`, `+` than `#`. */
export function compareSpecificity(a: string, b: string): number {
  const [x, y] = [a.split('/'), b.split('/')];
  for (let level = 0; level < Math.max(x.length, y.length); level++) {
    const difference = rank(y[level]) - rank(x[level]);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

// `a` and `a/#` both match `a`; the one that ends says more about it.
const rank = (level: string | undefined): number =>
  level === '#' ? 0 : level === '+' ? 1 : level === undefined ? 3 : 2;

const keyOf = (tenant: string, name: string): string => `${tenant}\0${name}`;
