import { afterEach, describe, expect, it } from '@jest/globals';
import { startCluster, type Cluster } from './cluster.ts';
import { refusal, render, renderText } from './helm.ts';

let cluster: Cluster | undefined;

afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

/** The chart as it would be applied to a cluster where `before` is installed. */
async function upgrade(before: unknown, values: unknown) {
  cluster = await startCluster(await render({ values: before }));
  return { values, cluster: cluster.url };
}

const three = { etcd: { replicas: 3 }, nats: { replicas: 3 } };

describe('an upgrade', () => {
  it.each([
    ['nothing', {}, {}],
    [
      'the images and resources',
      {},
      { nats: { image: { tag: 'x' }, terminationGracePeriodSeconds: 90 } },
    ],
    ['the number of NATS servers', {}, { nats: { replicas: 3 } }],
    ['another spelling of the same size', {}, { nats: { persistence: { size: '10240Mi' } } }],
    [
      'what becomes of claims',
      three,
      { ...three, etcd: { replicas: 3, persistence: { whenScaled: 'Delete' } } },
    ],
  ])('may change %s', async (_, before, values) => {
    expect(await renderText(await upgrade(before, values))).toContain('kind: StatefulSet');
  });

  it.each([
    ['the size', 'nats.persistence', { nats: { persistence: { size: '20Gi' } } }],
    ['the class', 'etcd.persistence', { etcd: { persistence: { storageClassName: 'fast' } } }],
    [
      'the access mode',
      'etcd.persistence',
      { etcd: { persistence: { accessMode: 'ReadWriteMany' } } },
    ],
    ['the claim', 'nats.persistence', { nats: { persistence: { existingClaim: 'old' } } }],
    ['the members of etcd', 'etcd.replicas', { etcd: { replicas: 3 } }],
  ])('that changes %s is refused before anything is applied', async (_, name, values) => {
    const said = await refusal(await upgrade({}, values));
    expect(said).toContain(`${name} cannot change`);
    expect(said).not.toContain('nil pointer');
  });
});
