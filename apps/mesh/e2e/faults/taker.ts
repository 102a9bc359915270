import { MeshError, type Delivery, type MeshClient, type SubscribeOptions } from '@eventmesh/sdk';

/** What a subscription is asked to be. */
export type Wanted = Exclude<SubscribeOptions['subscription'], string>;

export interface TakerOptions {
  readonly subscription: string | Wanted;
  readonly consumer?: string;
  readonly credit?: number;
  /** Ms to wait until the other sites know of it. */
  readonly convergeMs?: number;
  /** Default: accept everything. */
  readonly settle?: (delivery: Delivery) => void;
}

/** A consumer that notes what it gets, until its stream ends or it leaves. */
export class Taker {
  readonly taken: Delivery[] = [];
  readonly #leave = new AbortController();
  readonly #client: MeshClient;
  readonly #reading: Promise<void>;
  /** Why the mesh ended the stream. */
  ended: MeshError | undefined;

  private constructor(client: MeshClient, options: TakerOptions, opened: () => void) {
    this.#client = client;
    this.#reading = this.#read(options, opened);
  }

  /** Resolves when it is attached. @throws MeshError why it is not. */
  static async attach(client: MeshClient, options: TakerOptions): Promise<Taker> {
    const opened = Promise.withResolvers<undefined>();
    const taker = new Taker(client, options, () => opened.resolve(undefined));
    await Promise.race([opened.promise, taker.#reading]);
    if (taker.ended !== undefined) throw taker.ended;
    return taker;
  }

  get ids(): string[] {
    return this.taken.map(({ event }) => event.id);
  }

  /** Resolves with why the mesh ended the stream, when it does. */
  get gone(): Promise<MeshError> {
    return this.#reading.then(() => this.ended ?? new MeshError('Cancelled', 'it has left'));
  }

  async leave(): Promise<void> {
    this.#leave.abort();
    await this.#reading;
    this.#client.close();
  }

  async #read(options: TakerOptions, opened: () => void): Promise<void> {
    const { settle = (delivery) => delivery.accept(), ...rest } = options;
    const subscriber = this.#client.subscribe({ ...rest, signal: this.#leave.signal });
    subscriber.opened.then(opened, () => undefined);
    try {
      for await (const delivery of subscriber) {
        this.taken.push(delivery);
        settle(delivery);
      }
    } catch (error) {
      this.ended = MeshError.from(error);
    }
  }
}
