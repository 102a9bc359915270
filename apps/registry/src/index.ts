export { createRegistryApp, type RegistryApp, type RegistryDeps } from './app.ts';
export {
  REGISTRY_PORT,
  registryAppConfig,
  registryConfig,
  registryOptions,
  type RegistryConfig,
  type RegistryOptions,
} from './config.ts';
export { REGISTRY_METRICS } from './metrics.ts';
