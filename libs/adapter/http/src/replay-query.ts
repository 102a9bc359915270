import type { ReplayOptions } from '@eventmesh/adapter-api';
import { REPLAY_RATE_MAX, startFromText, timeFromText } from '@eventmesh/delivery';
import { invalid } from '@eventmesh/errors';
import type { Query } from './query.ts';

/** Parameters of a stream that make it a replay lane. */
export const REPLAY_PARAMETERS = ['replayFrom', 'replayTo', 'rateMax', 'replayExpired'] as const;

/** The replay that a query asks for; undefined when it asks for none. */
export function readReplay(query: Query): ReplayOptions | undefined {
  const [missing] = REPLAY_PARAMETERS.slice(1).filter((name) => query.text(name) !== undefined);
  const from = query.text('replayFrom');
  if (from !== undefined) {
    return {
      from: startFromText(from, 'replayFrom'),
      toMs: readTime(query, 'replayTo'),
      rateMax: query.integer('rateMax', 0, REPLAY_RATE_MAX, 0),
      expired: query.boolean('replayExpired'),
    };
  }
  if (missing === undefined) return undefined;
  throw invalid('replayFrom', `is missing; ${missing} goes with it only`);
}

/** `from`, `to` and `expired` of a preview. */
export function readPreview(query: Query): ReplayOptions {
  return {
    from: startFromText(query.text('from') ?? 'earliest', 'from'),
    toMs: readTime(query, 'to'),
    rateMax: 0,
    expired: query.boolean('expired'),
  };
}

function readTime(query: Query, name: string): number {
  const text = query.text(name);
  return text === undefined ? 0 : timeFromText(text, name);
}
