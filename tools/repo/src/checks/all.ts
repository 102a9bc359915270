import { commandCheck, type Check } from './check.ts';
import { protoBreaking, protoGenerated, protoLint } from './proto.ts';
import { reference } from './reference.ts';

/** Everything `npm run check` checks, in this order. */
export const CHECKS: readonly Check[] = [
  commandCheck('format', 'prettier', '--check', '--log-level', 'warn', '.'),
  commandCheck('types', 'tsc', '-p', 'tsconfig.json', '--noEmit'),
  protoLint,
  protoGenerated,
  protoBreaking,
  reference,
  commandCheck('lint', 'eslint', '.', '--max-warnings', '0'),
];
