import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { StoreCapability } from '@eventmesh/store-api';
import { describeAppend, describeDuplicates, describeProducers } from './store-contract/append.ts';
import { describeRead } from './store-contract/read.ts';
import { describeSessions } from './store-contract/sessions.ts';
import { describeCursors, describeLife, describeLogs } from './store-contract/state.ts';
import { Suite, type StoreUnderTest } from './store-contract/suite.ts';

export type { StoreUnderTest };

/**
 * What every EventStore must do, as tests. Names of logs carry a run id, so that what an earlier
 * run left on a server cannot interfere. A group that needs a capability is left out by name when
 * the store does not claim it.
 */
export function describeStoreContract(
  name: string,
  make: () => Promise<StoreUnderTest>,
  capabilities: readonly StoreCapability[],
): void {
  describe(`${name} keeps the EventStore contract`, () => {
    const suite = new Suite(make);
    beforeAll(() => suite.start());
    afterAll(() => suite.stop());
    it('claims the capabilities it is tested for', () => {
      expect([...suite.store.capabilities].sort()).toEqual([...capabilities].sort());
    });
    describeAppend(suite);
    describeDuplicates(suite);
    describeProducers(suite);
    describeSessions(suite);
    describeRead(suite, capabilities);
    describeCursors(suite);
    describeLogs(suite, capabilities);
    describeLife(suite);
  });
}
