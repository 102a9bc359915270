import {
  judgeSession,
  outOfSequence,
  seal,
  unseal,
  type AppendBatch,
  type AppendReceipt,
  type ProducerSequence,
  type ProducerSession,
} from '@eventmesh/store-api';
import type { Commit } from './commit.ts';
import { namedKey } from './files.ts';
import type { Partition } from './partition.ts';

/** What a batch's numbering says of its records, and how to keep that. */
interface Admission {
  /** Whether the record with this index was not stored before. */
  readonly isNew: (index: number) => boolean;
  /** Writes the numbering's new state beside the records. */
  readonly save: () => void;
}

const UNNUMBERED: Admission = { isNew: () => true, save: () => undefined };

/**
 * Says what of a batch is to be written, its producer's or session's new state beside it.
 *
 * @throws MeshError Aborted, before anything has changed.
 */
export function applyAppend(
  commit: Commit,
  partition: Partition,
  batch: AppendBatch,
): AppendReceipt {
  const { records, producer, session } = batch;
  const { window } = partition;
  let admission = UNNUMBERED;
  if (producer !== undefined) admission = admitProducer(commit, partition, producer);
  else if (session !== undefined) admission = admitSession(commit, partition, session);
  const positions = new Array<number>(records.length);
  const duplicates: number[] = [];
  for (let index = 0; index < records.length; index++) {
    const { bytes, dedupKey = '' } = records[index] as (typeof records)[number];
    const known = dedupKey === '' ? undefined : window.find(dedupKey);
    if (known !== undefined || !admission.isNew(index)) {
      positions[index] = known ?? 0;
      duplicates.push(index);
      continue;
    }
    const position = commit.append(partition, bytes, dedupKey);
    if (dedupKey !== '') window.add(dedupKey, position);
    positions[index] = position;
  }
  admission.save();
  return { positions, duplicates, durability: 'fsync' };
}

export const readSequence = (stored: Buffer | undefined, id: string): number =>
  stored === undefined ? 0 : unseal<number>(stored, `the sequence of producer "${id}"`);

function admitProducer(commit: Commit, { id }: Partition, producer: ProducerSequence): Admission {
  const key = namedKey(id, producer.id);
  const stored = readSequence(commit.get('producers', key), producer.id);
  if (producer.last <= stored) return { isNew: () => false, save: () => undefined };
  if (producer.previous !== stored) throw outOfSequence(producer, stored);
  return {
    isNew: () => true,
    save: () => commit.put('producers', key, seal(producer.last)),
  };
}

function admitSession(commit: Commit, partition: Partition, session: ProducerSession): Admission {
  const { sessions } = partition;
  const { id, epoch } = session;
  const stored = sessions.find(id);
  const { fresh, last } = judgeSession(stored, session);
  const changed = stored?.epoch !== epoch || stored.last !== last;
  return {
    isNew: (index) => fresh[index] === true,
    save: () => {
      if (!changed) return;
      const state = { epoch, last, at: partition.next };
      const forgotten = sessions.set(id, state);
      commit.put('sessions', namedKey(partition.id, id), seal(state));
      if (forgotten !== undefined) commit.remove('sessions', namedKey(partition.id, forgotten));
    },
  };
}
