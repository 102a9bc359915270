import { errorOf } from '../cli/http-client.ts';

export interface SseOptions {
  /** Base URL of the HTTP API. */
  readonly base: string;
  readonly authorization: string;
  /** A durable subscription; otherwise an ephemeral one is made from the topic filters. */
  readonly subscription?: string;
  readonly topicFilters?: readonly string[];
  readonly signal: AbortSignal;
  /** Wait for the other sites to know of the interest, at most this long. Default 0. */
  readonly convergeMs?: number;
  /** Called when the subscription is attached and events will come. */
  readonly onOpen?: (opened: SseOpened) => void;
}

/** What the mesh says before the first event. */
export interface SseOpened {
  readonly subscription: string;
  readonly convergedSites: readonly string[];
  readonly unreachableSites: readonly string[];
}

/** One event of a text/event-stream (WHATWG HTML, 9.2). */
export interface SseEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/**
 * Consumes events over HTTP, each as what the mesh knows of it round the event. Ends quietly when
 * the signal aborts or the server ends the stream without a reason.
 */
export async function* consumeSse(options: SseOptions): AsyncGenerator<SseEvent> {
  const { base, subscription, topicFilters = [], signal, authorization, convergeMs = 0 } = options;
  const query = new URLSearchParams({ envelope: 'true', convergeMs: String(convergeMs) });
  for (const filter of topicFilters) query.append('topic', filter);
  const path =
    subscription === undefined
      ? '/v1/events'
      : `/v1/subscriptions/${encodeURIComponent(subscription)}/events`;
  try {
    const response = await fetch(`${base}${path}?${query.toString()}`, {
      headers: { authorization, accept: 'text/event-stream' },
      signal,
    });
    if (!response.ok || response.body === null) {
      throw errorOf(response.status, await response.text());
    }
    for await (const event of parseSse(response.body)) {
      if (event.event === 'opened') options.onOpen?.(JSON.parse(event.data) as SseOpened);
      else if (event.event === 'message') yield event;
      else if (event.event === 'ended') throw errorOf(503, event.data);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The events of a stream of UTF-8 chunks, cut anywhere. */
export async function* parseSse(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<SseEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let event = { id: '', event: 'message', data: [] as string[] };
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    // A line break may be cut in two: the last CR waits for what follows it.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line !== '') {
        readField(line, event);
        continue;
      }
      if (event.data.length > 0) {
        yield { id: event.id, event: event.event, data: event.data.join('\n') };
      }
      event = { id: event.id, event: 'message', data: [] };
    }
  }
}

function readField(line: string, into: { id: string; event: string; data: string[] }): void {
  const colon = line.indexOf(':');
  if (colon === 0) return;
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (name === 'data') into.data.push(value);
  else if (name === 'event') into.event = value;
  else if (name === 'id') into.id = value;
}
