import type { LatePolicy as Policy, MeshPort } from '@eventmesh/adapter-api';
import { LatePolicy } from '@eventmesh/proto-gen/event';
import type { ScheduledEventService } from '@eventmesh/proto-gen/publisher';
import { pageSizeOf, type ServiceImpl } from '@eventmesh/rpc';
import { sessionOf } from './session-of.ts';

const LATE: Readonly<Record<Policy, LatePolicy>> = Object.freeze({
  fire: LatePolicy.FIRE,
  skip: LatePolicy.SKIP,
  'dead-letter': LatePolicy.DEAD_LETTER,
});

/** ScheduledEventService over the mesh port. */
export function scheduledEventsService(port: MeshPort): ServiceImpl<typeof ScheduledEventService> {
  return {
    async listScheduledEvents({ pageSize }, ctx) {
      const session = await sessionOf(port, ctx);
      const { events, pending } = await port.scheduled.list(session, pageSizeOf(pageSize));
      return {
        events: events.map(({ deliverAtMs, position, latePolicy, ...event }) => ({
          ...event,
          deliverAtMs: BigInt(deliverAtMs),
          position: BigInt(position),
          latePolicy: LATE[latePolicy],
        })),
        pending: BigInt(pending),
      };
    },

    async cancelScheduledEvent({ id, source }, ctx) {
      const session = await sessionOf(port, ctx);
      return { cancelled: BigInt(await port.scheduled.cancel(session, id, source)) };
    },
  };
}
