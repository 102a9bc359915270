export { describeStoreContract, type StoreUnderTest } from './store-contract.ts';
export { describeKvContract, type KvCapability, type KvUnderTest } from './kv-contract.ts';
export { tempDir, type TempDir } from './temp-dir.ts';
export { eventually, type EventuallyOptions } from './eventually.ts';
export { seededRandom, type SeededRandom } from './seeded-random.ts';
export { fakeClock, type FakeClock } from './fake-clock.ts';
export { startProxy, type Direction, type FaultProxy } from './fault-proxy.ts';
export {
  startEtcd,
  startNats,
  type EtcdOptions,
  type NatsOptions,
  type NatsServer,
  type RunningServer,
} from '@eventmesh/tools-provision';
