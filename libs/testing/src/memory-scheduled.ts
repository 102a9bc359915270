import type {
  PublishItem,
  Receipt,
  ScheduledEvent,
  ScheduledEventsPort,
  Session,
} from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { EventView } from '@eventmesh/event';

/** The timers of the memory mesh: they are kept and can be taken back, but none ever fires. */
export class MemoryScheduled implements ScheduledEventsPort {
  readonly #waiting = new Map<ScheduledEvent, string>();
  #position = 0;

  /** When it is to be published, ms since the epoch; 0: at once. */
  dueMs({ deliverAtMs = 0, deliverAfterMs = 0 }: PublishItem): number {
    return deliverAfterMs === 0 ? deliverAtMs : Date.now() + deliverAfterMs;
  }

  /** The receipt of an event that is for later; undefined for one that is for now. */
  keep(session: Session, site: string, item: PublishItem): Receipt | undefined {
    const { latePolicy = 'fire', topic } = item;
    const dueMs = this.dueMs(item);
    if (dueMs <= Date.now()) return undefined;
    const { id, source, type } = new EventView(item.event);
    const { kind, name, tenant } = session.principal;
    const position = ++this.#position;
    const principal = `${kind}:${name}`;
    const about = { topic, id, source, type, principal, latePolicy, position };
    this.#waiting.set({ ...about, deliverAtMs: dueMs }, tenant);
    const place = { site, partition: 0, position, duplicate: false, durability: 'memory' };
    return { ...place, noInterest: false, destinations: [], deliverAtMs: dueMs };
  }

  list(session: Session, size: number) {
    const events = this.#of(session).sort((a, b) => a.deliverAtMs - b.deliverAtMs);
    return Promise.resolve({ events: events.slice(0, size), pending: events.length });
  }

  cancel(session: Session, id: string, source: string): Promise<number> {
    const found = this.#of(session).filter(
      (event) => event.id === id && (source === '' || event.source === source),
    );
    if (found.length === 0) {
      const text = `no event "${id}" waits to be published`;
      return Promise.reject(new MeshError('NotFound', text, { field: 'id' }));
    }
    const sources = new Set(found.map((event) => event.source));
    if (sources.size > 1) {
      const text = `events "${id}" of several sources wait: ${[...sources].join(', ')}`;
      return Promise.reject(invalid('source', text));
    }
    for (const event of found) this.#waiting.delete(event);
    return Promise.resolve(found.length);
  }

  #of({ principal }: Session): ScheduledEvent[] {
    return [...this.#waiting].flatMap(([event, tenant]) =>
      tenant === principal.tenant ? [event] : [],
    );
  }
}
