export { awayLog } from './away-log.ts';
export { bearerGuard } from './bearer-guard.ts';
export { CALL_METRICS, callMetrics } from './metrics.ts';
export { AdminServer } from './admin-server.ts';
export { Readiness } from './readiness.ts';
export {
  EXIT_CONFIG,
  logFailedCall,
  runService,
  tlsFiles,
  type Host,
  type Service,
  type ServiceDefinition,
} from './run-service.ts';
export { serviceConfig, tlsConfig, type ServiceConfig } from './service-config.ts';
