import { MemoryMesh } from './memory-mesh.ts';
import { describeMeshContract } from './mesh-contract.ts';

describeMeshContract('the memory mesh', async () => {
  const mesh = new MemoryMesh({ partitions: 4 });
  return {
    port: mesh,
    authorization: {
      alice: 'Bearer alice',
      reader: 'Bearer reader',
      mallory: 'Bearer mallory',
    },
    forget: async (partition, before) => mesh.trim(partition, before),
    drain: () => mesh.drain(),
    dispose: async () => mesh.close(),
  };
});
