/**
 * Resolves in the next turn of the event loop: behind all that was scheduled before, and once I/O that
 * waits has been looked at. Awaited between pieces of long work, that all others go on meanwhile.
 */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
