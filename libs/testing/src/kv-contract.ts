import { afterAll, beforeAll, describe } from '@jest/globals';
import { Suite } from './kv-contract/suite.ts';
import { describeValues } from './kv-contract/values.ts';
import { describeConditions } from './kv-contract/conditions.ts';
import { describeLeases } from './kv-contract/leases.ts';
import { describeWatch } from './kv-contract/watch.ts';
import { describeMirror } from './kv-contract/mirror.ts';
import { describeConnectionLoss, describeRestart } from './kv-contract/faults.ts';
import type { KvCapability, KvUnderTest } from './kv-contract/suite.ts';

export type { KvCapability, KvUnderTest } from './kv-contract/suite.ts';

/**
 * What every Kv must do, as tests, on one instance for all of them; each test keeps to keys of its
 * own. The groups for connection loss and restart run for plugins that claim them.
 */
export function describeKvContract(
  name: string,
  make: () => Promise<KvUnderTest>,
  capabilities: readonly KvCapability[],
): void {
  describe(`${name} keeps the Kv contract`, () => {
    const suite = new Suite(make);
    beforeAll(() => suite.start());
    afterAll(() => suite.stop());
    describeValues(suite);
    describeConditions(suite);
    describeLeases(suite);
    describeWatch(suite);
    describeMirror(suite);
    if (capabilities.includes('connection-loss')) describeConnectionLoss(suite);
    if (capabilities.includes('restart')) describeRestart(suite);
  });
}
