export { ProvisionError } from './error.ts';
export { provision, type ProvisionOptions } from './provision.ts';
export { TOOL_NAMES, type ToolName } from './tools.ts';
export { startNats, type NatsOptions, type NatsServer } from './nats.ts';
export { startEtcd, type EtcdOptions } from './etcd.ts';
export type { RunningServer } from './server-process.ts';
