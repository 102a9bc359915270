import { DEAD_LETTER_IDS_MAX, type DeadLetterSelection } from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';

/** @throws MeshError InvalidArgument that names the field. */
export function checked(selection: DeadLetterSelection): DeadLetterSelection {
  const { ids = [] } = selection;
  if (ids.length > DEAD_LETTER_IDS_MAX) {
    const limit = `${DEAD_LETTER_IDS_MAX} ids`;
    throw invalid('selection.ids', `there are ${ids.length}`, { limit });
  }
  for (const [index, id] of ids.entries()) {
    if (Number.isSafeInteger(id) && id > 0) continue;
    throw invalid(`selection.ids[${index}]`, `${id} is not the id of a dead letter`);
  }
  return selection;
}
