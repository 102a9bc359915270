export { NumberMap } from './number-map.ts';
export { RisingSet } from './rising-set.ts';
