import { describe, it } from '@jest/globals';
import fc from 'fast-check';
import { keepsItsPromises } from './test/commands.ts';

describe('the delivery engine beside a naive record of what it has promised', () => {
  // `node libs/delivery/src/test/soak.ts 100000` does the same more often.
  it('keeps books, credit, order, budgets and fates, whatever happens', () => {
    fc.assert(keepsItsPromises, { numRuns: 2000 });
  });
});
