import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import { describeAttach } from './mesh-contract/attach.ts';
import { describeAtomic, describeProducers } from './mesh-contract/batches.ts';
import { describeCredit, describeSink } from './mesh-contract/deliver.ts';
import { describeLife } from './mesh-contract/life.ts';
import { describePublish } from './mesh-contract/publish.ts';
import { describeRequest } from './mesh-contract/request.ts';
import { describeSettle } from './mesh-contract/settle.ts';
import { describeShare } from './mesh-contract/share.ts';
import { describeSubscriptions } from './mesh-contract/subscriptions.ts';
import { Suite, type MeshUnderTest } from './mesh-contract/suite.ts';

export type { MeshUnderTest };

/**
 * What protocol adapters rely on of a mesh, as tests: the one that they are tested against and the
 * one that they are shipped with must not differ in it. `make` is called once for most of the tests,
 * and once more for those of the end.
 */
export function describeMeshContract(name: string, make: () => Promise<MeshUnderTest>): void {
  describe(`${name} keeps the MeshPort contract`, () => {
    const suite = new Suite(make);
    beforeAll(() => suite.start(), 60_000);
    afterEach(() => suite.detachAll());
    afterAll(() => suite.stop(), 60_000);
    describePublish(suite);
    describeAtomic(suite);
    describeProducers(suite);
    describeAttach(suite);
    describeCredit(suite);
    describeSink(suite);
    describeSettle(suite);
    describeShare(suite);
    describeSubscriptions(suite);
    describeRequest(suite);
    describeLife(suite, make);
  });
}
