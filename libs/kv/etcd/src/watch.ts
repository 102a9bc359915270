import { MeshError, unavailable } from '@eventmesh/errors';
import type { KvWatchEvent, KvWatchOptions } from '@eventmesh/kv-api';
import { pause } from '@eventmesh/time';
import { toMeshError, type Etcd3Client, type IWatchResponse } from './etcd3-client.ts';
import type { CompiledOptions } from './options.ts';
import { prefixRange, RevisionAssembler } from './wire.ts';

/** Failures that another attempt may mend; everything else ends the watch with the error. */
const PASSING = new Set(['Unavailable', 'DeadlineExceeded', 'ResourceExhausted', 'Internal']);

/** One watch over however many connections it takes, resumed after the last whole revision. */
export async function* watchPrefix(
  client: Etcd3Client,
  options: CompiledOptions,
  prefix: string,
  watch: KvWatchOptions,
  signal: AbortSignal,
): AsyncGenerator<KvWatchEvent, void> {
  const backoff = options.backoff();
  const position = { next: watch.fromRevision };
  let connected: boolean | undefined;
  const tell = (state: boolean, reason?: MeshError) => {
    if (connected === state) return;
    connected = state;
    watch.onConnection?.(state ? 'connected' : 'disconnected', reason);
  };
  while (!signal.aborted) {
    try {
      const onCreated = () => {
        backoff.reset();
        tell(true);
      };
      for await (const event of connect(client, prefix, position, signal, onCreated)) {
        yield event;
        if (event.type === 'compacted') return;
      }
      if (signal.aborted) return;
      throw unavailable('etcd ended the watch');
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toMeshError(thrown);
      if (!PASSING.has(error.code)) throw error;
      tell(false, error);
      await pause(backoff.nextMs(), signal, options.clock);
    }
  }
}

/** The events of one connection; moves `position` on with each. */
async function* connect(
  client: Etcd3Client,
  prefix: string,
  position: { next: number },
  signal: AbortSignal,
  onCreated: () => void,
): AsyncGenerator<KvWatchEvent, void> {
  // A server that was restored from a backup would wait in silence for a revision it once had.
  const range = prefixRange(prefix);
  const { header } = await client.range({ ...range, count_only: true });
  const revision = Number(header.revision);
  if (position.next > revision + 1) {
    yield { type: 'compacted', revision };
    return;
  }
  const assembler = new RevisionAssembler();
  for await (const answer of client.watch(range, position.next, signal)) {
    if (answer.created && !answer.canceled) onCreated();
    if (answer.canceled) {
      const compacted = Number(answer.compact_revision);
      if (compacted === 0) throw refusal(answer);
      yield { type: 'compacted', revision: compacted };
      return;
    }
    for (const { revision: done, changes } of assembler.take(answer)) {
      position.next = done + 1;
      yield { type: 'changes', revision: done, changes };
    }
  }
}

/** etcd tells why it cancels a watch only as text. */
function refusal(answer: IWatchResponse): MeshError {
  const reason = answer.cancel_reason;
  if (reason.includes('permission denied')) {
    return new MeshError('PermissionDenied', 'etcd refuses this user to watch that prefix');
  }
  return unavailable(`etcd cancelled the watch: ${reason === '' ? 'no reason given' : reason}`);
}
