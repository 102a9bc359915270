import { MeshError } from '@eventmesh/errors';
import type { Interceptor } from '@eventmesh/rpc';
import { histogram, type Metrics } from '@eventmesh/telemetry';

export const CALL_METRICS = {
  calls: histogram(
    'eventmesh_rpc_seconds',
    'Calls served, until the reply or, for streams, until they are open; by mesh code or `ok`.',
    ['service', 'method', 'code'],
  ),
} as const;

/** Times every call that a service answers, and says how it ended. */
export function callMetrics(metrics: Metrics): Interceptor {
  const { calls } = metrics.use(CALL_METRICS);
  return async ({ path }, next) => {
    const [, service = '', method = ''] = path.split('/');
    const labels = { service, method };
    const started = performance.now();
    const told = (code: string) =>
      calls.observe({ ...labels, code }, (performance.now() - started) / 1000);
    try {
      const reply = await next();
      told('ok');
      return reply;
    } catch (error) {
      told(MeshError.from(error).code);
      throw error;
    }
  };
}
