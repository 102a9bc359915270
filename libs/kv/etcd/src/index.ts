export { openEtcdKv, type EtcdKv } from './kv.ts';
export { ETCD_KV_DEFAULTS, type EtcdKvOptions } from './options.ts';
