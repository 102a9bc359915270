/** Microseconds since the Unix epoch, finer than the wall clock's milliseconds. */
export const nowUs = (): number => Math.round((performance.timeOrigin + performance.now()) * 1000);
