import { describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { ProducerLanes, checkProducer, checkSequence } from './producer-lanes.ts';

describe('the appends of a producer', () => {
  const failure = new MeshError('Unavailable', 'the store is away');
  /** Runs appends of which some fail; answers what was begun, and how each ended. */
  async function run(fails: readonly string[], given: readonly (readonly [string, string])[]) {
    const lanes = new ProducerLanes();
    const producer = { id: 'p', epoch: 1 };
    const begun: string[] = [];
    let underWay = 0;
    const ended = await Promise.allSettled(
      given.map(([name, where]) =>
        lanes.append(producer, where, async () => {
          begun.push(name);
          if (where === 'a') expect(++underWay).toBe(1);
          await new Promise((resolve) => setImmediate(resolve));
          if (where === 'a') underWay--;
          if (fails.includes(name)) throw failure;
          return name;
        }),
      ),
    );
    return {
      begun,
      ended: ended.map((end) =>
        end.status === 'fulfilled' ? end.value : MeshError.from(end.reason).reason,
      ),
    };
  }

  it('go to a partition one after the other', async () => {
    const { ended } = await run(
      [],
      [
        ['1', 'a'],
        ['2', 'a'],
        ['3', 'a'],
      ],
    );
    expect(ended).toEqual(['1', '2', '3']);
  });

  it('end after one that failed, in its partition alone', async () => {
    const { begun, ended } = await run(
      ['2'],
      [
        ['1', 'a'],
        ['2', 'a'],
        ['3', 'a'],
        ['4', 'b'],
      ],
    );
    expect(ended).toEqual(['1', 'UNAVAILABLE', 'PRODUCER_INTERRUPTED', '4']);
    expect(begun.toSorted()).toEqual(['1', '2', '4']);
  });

  it('of another stream of the same producer are not its concern', async () => {
    const lanes = new ProducerLanes();
    const fail = () => Promise.reject(failure);
    await expect(lanes.append({ id: 'p', epoch: 1 }, 'a', fail)).rejects.toBe(failure);
    await expect(
      lanes.append({ id: 'p', epoch: 1 }, 'a', () => Promise.resolve('again')),
    ).resolves.toBe('again');
  });

  it.each([
    [{ id: '', epoch: 1 }, 'producer.id'],
    [{ id: 'x'.repeat(129), epoch: 1 }, 'producer.id'],
    [{ id: 'a/b', epoch: 1 }, 'producer.id'],
    [{ id: 'a', epoch: 0 }, 'producer.epoch'],
    [{ id: 'a', epoch: 2 ** 31 }, 'producer.epoch'],
    [{ id: 'a', epoch: Number.NaN }, 'producer.epoch'],
  ])('are refused of %j', (producer, field) => {
    expect(() => checkProducer(producer)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ field }) }),
    );
  });

  it.each([0, -1, 1.5, 2 ** 53, Number.NaN])('are refused with the number %d', (sequence) => {
    expect(() => checkSequence(sequence)).toThrow(/sequence/);
  });
});
