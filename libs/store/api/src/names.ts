import { invalid } from '@eventmesh/errors';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/**
 * Checks the name of a log: 1 to 128 letters, digits, `-`, `_`, `.`, the first a letter or digit.
 *
 * @throws MeshError InvalidArgument.
 */
export function checkLogName(name: string): string {
  if (!NAME.test(name)) {
    throw invalid('log', `"${name}" is not 1 to 128 letters, digits, -, _ and .`);
  }
  return name;
}
