import { EventView } from '@eventmesh/event';
import { explainFilters, type FilterSpec } from '@eventmesh/filter';

/** Which filter says no to an event, and what it saw; undefined when all say yes. */
export function filterProblem(
  filters: readonly FilterSpec[],
  event: Uint8Array,
): string | undefined {
  const { passed, because } = explainFilters(filters, new EventView(event));
  if (passed) return undefined;
  if (because === undefined) return 'its filters say no';
  const { path, expression, saw, error } = because;
  const failed = error === undefined ? '' : ` (in error: ${error})`;
  return `${path} says no: ${expression}, but ${saw}${failed}`;
}
