import { staleReference } from '../reference/pages.ts';
import type { Check } from './check.ts';

export const reference: Check = {
  name: 'reference pages',
  run: async () =>
    (await staleReference()).map((page) => `${page} is not what the sources say; npm run generate`),
};
