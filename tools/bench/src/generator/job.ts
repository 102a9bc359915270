/** How a generator reaches a site. */
export interface Target {
  readonly grpc: string;
  readonly http: string;
  readonly user: string;
  readonly password: string;
}

/** What a generator process is to do. */
export type Job =
  | { readonly kind: 'publish'; readonly site: Target; readonly events: number }
  | { readonly kind: 'deliver'; readonly site: Target; readonly events: number }
  | {
      readonly kind: 'latency';
      readonly from: Target;
      readonly to: Target;
      readonly events: number;
    }
  | {
      readonly kind: 'http';
      readonly url: string;
      readonly user: string;
      readonly password: string;
      readonly connections: number;
      readonly events: number;
    }
  | {
      readonly kind: 'fanout';
      readonly site: Target;
      readonly events: number;
      readonly subscriptions: number;
    }
  | { readonly kind: 'backlog'; readonly site: Target; readonly events: number }
  | { readonly kind: 'catchup'; readonly site: Target; readonly events: number }
  | {
      readonly kind: 'paced-publish';
      readonly site: Target;
      readonly events: number;
      /** Events a second. */
      readonly rate: number;
    }
  | {
      readonly kind: 'paced-jetstream';
      readonly url: string;
      readonly events: number;
      readonly rate: number;
    }
  | { readonly kind: 'lmdb'; readonly dir: string; readonly events: number }
  | { readonly kind: 'jetstream'; readonly url: string; readonly events: number };

/** A job made ready: connected, and warm. */
export interface Ready {
  /** The timed part. Resolves with numbers beside the time it took. */
  run(): Promise<Readonly<Record<string, number>>>;
  close(): Promise<void> | void;
}

/** What the generator tells its parent, in this order. */
export type Told =
  | { readonly at: 'ready' }
  | {
      readonly at: 'done';
      readonly seconds: number;
      readonly cpuSeconds: number;
      readonly beside: Readonly<Record<string, number>>;
    }
  | { readonly at: 'failed'; readonly message: string };
