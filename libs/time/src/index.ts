export { Backoff, doubled, jittered, type BackoffOptions } from './backoff.ts';
export { systemClock, type Clock } from './clock.ts';
export { nextTurn } from './next-turn.ts';
export { pause } from './pause.ts';
