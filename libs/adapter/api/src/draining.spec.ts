import { describe, expect, it } from '@jest/globals';
import { drainingError } from './draining.ts';

describe('drainingError', () => {
  it.each([
    ['where to go', [], 'this emesher is draining; reconnect to another one'],
    ['what comes of the call', ['not known'], 'not known'],
  ] as const)('may be tried again soon, and says %s', (_, given, message) => {
    const error = drainingError(...given);
    expect(error).toMatchObject({ code: 'Unavailable', message, retryable: true });
    expect(error.details).toEqual({ reason: 'DRAINING', retryAfterMs: 100 });
  });
});
