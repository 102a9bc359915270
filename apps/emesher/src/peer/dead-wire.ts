import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DeadLetterSelection, PurgeResult, RedriveResult } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type {
  PurgeResponse,
  RedriveResponse,
  SelectionSchema,
} from '@eventmesh/proto-gen/deadletter';

/** A selection of dead letters, for another emesher of the site. */
export function selectionToWire(
  selection: DeadLetterSelection,
): MessageInitShape<typeof SelectionSchema> {
  const { subscription = '', cause = '', ids = [], all = false } = selection;
  return { subscription, cause, ids: ids.map(BigInt), all };
}

/** What another emesher has done. */
export function redriveFromWire(answer: RedriveResponse | undefined): RedriveResult {
  if (answer === undefined) throw noAnswer();
  const { redriven, missing, unmatched, forbidden, nextPageToken: nextToken } = answer;
  return {
    redriven: Number(redriven),
    missing: Number(missing),
    unmatched: Number(unmatched),
    forbidden: Number(forbidden),
    nextToken,
  };
}

export function purgeFromWire(answer: PurgeResponse | undefined): PurgeResult {
  if (answer === undefined) throw noAnswer();
  return { purged: Number(answer.purged), nextToken: answer.nextPageToken };
}

const noAnswer = () => new MeshError('Internal', 'an emesher answered without what it has done');
