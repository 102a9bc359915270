import { MeshError } from '@eventmesh/errors';

/** The stream ends because its emesher does; nothing that was answered is lost. */
export const drainingError = (): MeshError =>
  new MeshError('Unavailable', 'this emesher is draining; reconnect to another one', {
    reason: 'DRAINING',
    retryAfterMs: 100,
  });
