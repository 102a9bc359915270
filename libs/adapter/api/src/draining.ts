import { MeshError } from '@eventmesh/errors';

/**
 * What ends calls and streams because their emesher is about to stop: Unavailable (DRAINING), to be
 * tried again elsewhere after 100 ms. Nothing that was answered is lost.
 *
 * @param message For people: what comes of what was asked for, where that is not plain.
 */
export const drainingError = (
  message = 'this emesher is draining; reconnect to another one',
): MeshError => new MeshError('Unavailable', message, { reason: 'DRAINING', retryAfterMs: 100 });
