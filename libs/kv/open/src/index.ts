export { kvConfig, kvProblems, type KvConfig } from './config.ts';
export { openKv } from './open-kv.ts';
