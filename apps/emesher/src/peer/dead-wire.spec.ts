import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { redriveToWire } from '@eventmesh/adapter-grpc';
import { RedriveResponseSchema } from '@eventmesh/proto-gen/deadletter';
import { redriveFromWire } from './dead-wire.ts';

describe('what another emesher has redriven', () => {
  it('arrives with every count of those that stay', () => {
    const result = { redriven: 1, missing: 2, unmatched: 3, forbidden: 4, nextToken: 'more' };
    expect(redriveFromWire(create(RedriveResponseSchema, redriveToWire(result)))).toEqual(result);
  });
});
