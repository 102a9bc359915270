export { describeStoreContract, type StoreUnderTest } from './store-contract.ts';
export { describeKvContract, type KvCapability, type KvUnderTest } from './kv-contract.ts';
export { tempDir, type TempDir } from './temp-dir.ts';
export { TestAuthority, type CertificateFiles } from './certificates.ts';
export { missingMountRights, smallDisk, type SmallDisk } from './disk/small-disk.ts';
export { missingStrace, tamper, type Tampering } from './disk/tampering.ts';
export { eventually, type EventuallyOptions } from './eventually.ts';
export { seededRandom, type SeededRandom } from './seeded-random.ts';
export { fakeClock, type FakeClock } from './fake-clock.ts';
export { startProxy, type Direction, type FaultProxy } from './fault-proxy.ts';
export {
  etcdLeader,
  startEtcd,
  startEtcdCluster,
  type EtcdClusterOptions,
  startNats,
  startNatsCluster,
  type EtcdOptions,
  type NatsClusterOptions,
  type NatsOptions,
  type NatsServer,
  type RunningServer,
} from '@eventmesh/tools-provision';
export {
  MEMORY_USERS,
  MemoryMesh,
  type MemoryMeshOptions,
  type MemoryUser,
} from './memory-mesh.ts';
export { describeMeshContract, type MeshUnderTest } from './mesh-contract.ts';
export {
  WireRefusal,
  describeAdapterContract,
  type AdapterUnderTest,
  type WireClient,
  type WireDelivery,
  type WireEvent,
  type WireReceipt,
  type WireStream,
} from './adapter-contract.ts';
