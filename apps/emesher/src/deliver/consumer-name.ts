import { invalid } from '@eventmesh/errors';

/** Longest name of a consumer, in characters; it stands in metrics, books and tables. */
const NAME_MAX = 256;
const NAME = /^[^\p{Cc}]+$/u;

/**
 * Any text that a person can read in a line. A consumer of a broadcast names a part of it and is held
 * to stricter rules there.
 *
 * @throws MeshError InvalidArgument (consumer).
 */
export function checkConsumer(name: string | undefined): void {
  if (name === undefined || (name.length <= NAME_MAX && NAME.test(name))) return;
  throw invalid('consumer', 'is empty, too long, or has control characters; take another name', {
    limit: `1 to ${NAME_MAX} characters`,
  });
}
