import { MeshError } from '@eventmesh/errors';
import type { EventLike, PublishOptions, Receipt, StreamPublisher } from '@eventmesh/sdk';

/** An event that the mesh has taken. */
export interface Published {
  readonly id: string;
  readonly topic: string;
  readonly receipt: Receipt;
}

export interface PublishedMany {
  readonly published: number;
  /** Events that were sent, those that were refused among them. */
  readonly sent: number;
  /** Why the first one was refused, if any was. */
  readonly refused: MeshError | undefined;
}

/** Events that may be unanswered. */
const OPEN_MAX = 4096;

/**
 * Publishes events as they come and tells of each when its receipt is here, in order. Nothing is kept
 * of those that are answered, so the events may go on for ever. Ends with the events, or when one is
 * refused, which `stop` is told, for an input that waits for more.
 */
export async function publishMany(
  stream: Pick<StreamPublisher, 'publish' | 'close'>,
  topic: string,
  events: AsyncIterable<EventLike>,
  options: PublishOptions,
  tell: (published: Published) => void,
  stop: AbortController,
): Promise<PublishedMany> {
  let sent = 0;
  let published = 0;
  let answered = 0;
  let refused: MeshError | undefined;
  let room: (() => void) | undefined;
  const answer = () => {
    answered++;
    room?.();
  };
  for await (const event of events) {
    sent++;
    stream.publish(topic, event, options).then(
      (receipt) => {
        published++;
        tell({ id: event.id, topic, receipt });
        answer();
      },
      (thrown: unknown) => {
        refused ??= MeshError.from(thrown);
        stop.abort();
        answer();
      },
    );
    while (sent - answered >= OPEN_MAX) {
      await new Promise<void>((resolve) => {
        room = resolve;
      });
    }
    if (stop.signal.aborted) break;
  }
  await stream.close();
  return { published, sent, refused };
}
