import type { Readable } from 'node:stream';
import { MeshError } from '@eventmesh/errors';
import { Malformed } from './malformed.ts';

/**
 * The requests of a call. Not the stream's own iterator: that one destroys the call when the
 * handler leaves it, and when the call fails while a request is awaited. The status of the call
 * would then never be sent, and the caller would wait for ever.
 *
 * @param signal Aborts with the call; its reason is what the handler is told then.
 */
export async function* requestsOf(call: Readable, signal: AbortSignal): AsyncGenerator {
  let wake: () => void = () => undefined;
  let ended = false;
  let gone = false;
  const listeners = {
    readable: () => wake(),
    end: () => {
      ended = true;
      wake();
    },
    ...Object.fromEntries(['cancelled', 'close', 'error'].map((event) => [event, leave])),
  };
  function leave(): void {
    gone = true;
    wake();
  }
  for (const [event, listener] of Object.entries(listeners)) call.on(event, listener);
  try {
    for (;;) {
      const request: unknown = call.read();
      if (request instanceof Malformed) throw request.error;
      if (request !== null) yield request;
      else if (ended) return;
      else if (gone || call.destroyed) throw reasonOf(signal);
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    for (const [event, listener] of Object.entries(listeners)) call.off(event, listener);
  }
}

const reasonOf = ({ reason }: AbortSignal): MeshError =>
  reason instanceof MeshError ? reason : new MeshError('Cancelled', 'the caller is gone');
