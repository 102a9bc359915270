import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import { statusToWire } from '@eventmesh/adapter-grpc';
import { NO_COUNTS } from '@eventmesh/delivery';
import { SubscriptionStatusSchema } from '@eventmesh/proto-gen/subscriber';
import { statusFromWire } from './status-wire.ts';

describe('the books of a subscription that another emesher runs', () => {
  it('arrive as they were told, and with nothing of the wire in them', () => {
    const stuck = {
      topic: 't',
      key: 'k',
      consumer: 'c',
      heldMs: 4,
      waiting: 3,
      parked: 2,
      failures: 1,
    };
    const status: SubscriptionStatus = {
      ...{ ...NO_COUNTS, considered: 9, delivered: 8, filtered: 1, held: 7, lag: 6, consumers: 5 },
      ...{ ownerMember: 'west-2', epoch: 4, stuckKeys: [stuck], parked: 3, parkedKeys: 2 },
      ...{ stopped: 'keys', delayed: 1, nextDueMs: 1234, paced: 2, retryWindow: 16 },
    };
    const wire = toBinary(
      SubscriptionStatusSchema,
      create(SubscriptionStatusSchema, statusToWire(status)),
    );
    expect(statusFromWire(fromBinary(SubscriptionStatusSchema, wire))).toEqual(status);
  });
});
