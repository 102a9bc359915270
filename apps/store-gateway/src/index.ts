export {
  createStoreGatewayApp,
  type StoreGatewayApp,
  type StoreGatewayAppConfig,
  type StoreGatewayDeps,
} from './app.ts';
export {
  STORE_GATEWAY_PORT,
  storeGatewayConfig,
  storeGatewaySettings,
  type StoreGatewayConfig,
  type StoreGatewaySettings,
} from './config.ts';
export { STORE_METRICS } from './metrics.ts';
export { openStore } from './open-store.ts';
