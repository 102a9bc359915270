import { EventView, type RecordView } from '@eventmesh/event';

let last: EventView | undefined;

/**
 * The event of a record, read in place. A record is offered to one subscription after the other, and
 * they share the view, so that its attributes are decoded and its data is parsed once for all of
 * them. Only the last view is kept.
 *
 * @throws MeshError InvalidArgument when the bytes are not a CloudEvent message.
 */
export function viewOf(record: RecordView): EventView {
  if (last?.bytes !== record.event) last = new EventView(record.event);
  return last;
}
