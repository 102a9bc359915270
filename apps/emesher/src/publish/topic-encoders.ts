import { RecordEncoder, type RecordHead } from '@eventmesh/event';

/** What records of one caller and topic share, but for where they go. */
export type TopicHead = Pick<
  RecordHead,
  'tenant' | 'topic' | 'principal' | 'originSite' | 'handling'
>;

/** Lay out the constant part of a topic's records once, each class on its own when it is published. */
export class TopicEncoders {
  readonly #head: TopicHead;
  readonly #destinations: Readonly<Record<'durable' | 'direct', readonly string[]>>;
  #durable: RecordEncoder | undefined;
  #direct: RecordEncoder | undefined;

  constructor(
    head: TopicHead,
    destinations: Readonly<Record<'durable' | 'direct', readonly string[]>>,
  ) {
    this.#head = head;
    this.#destinations = destinations;
  }

  get durable(): RecordEncoder {
    return (this.#durable ??= this.#make(this.#destinations.durable));
  }

  get direct(): RecordEncoder {
    return (this.#direct ??= this.#make(this.#destinations.direct));
  }

  #make(destinations: readonly string[]): RecordEncoder {
    return new RecordEncoder({ ...this.#head, destinations });
  }
}
