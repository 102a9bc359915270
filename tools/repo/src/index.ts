export type { Check } from './checks/check.ts';
