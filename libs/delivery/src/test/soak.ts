/**
 * The property of engine.model.spec.ts as often as asked for:
 * `node libs/delivery/src/test/soak.ts [runs] [seed]`. A failure prints its seed and steps.
 */
import fc from 'fast-check';
import { keepsItsPromises } from './commands.ts';

const [runs = '100000', seed] = process.argv.slice(2);
fc.assert(keepsItsPromises, {
  numRuns: Number(runs),
  ...(seed === undefined ? {} : { seed: Number(seed) }),
});
process.stdout.write(`${runs} runs, all promises kept\n`);
