export { createEmesherApp, type EmesherApp, type EmesherDeps, type EmesherOptions } from './app.ts';
export {
  dataPlaneConfig,
  emesherConfig,
  type DataPlaneConfig,
  type EmesherConfig,
} from './config.ts';
export { emesherMetrics } from './metrics.ts';
export { neighboursOf } from './neighbours.ts';
