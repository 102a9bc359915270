export { ProvisionError } from './error.ts';
export { provision, type ProvisionOptions } from './provision.ts';
export { TOOL_NAMES, type ToolName } from './tools.ts';
export { startNats, type NatsOptions, type NatsServer } from './nats.ts';
export { startNatsCluster, type NatsClusterOptions } from './nats-cluster.ts';
export { startEtcd, type EtcdOptions } from './etcd.ts';
export { etcdLeader, startEtcdCluster, type EtcdClusterOptions } from './etcd-cluster.ts';
export type { RunningServer } from './server-process.ts';
