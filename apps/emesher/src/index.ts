export { createEmesherApp, type EmesherApp } from './app.ts';
export type { EmesherDeps, EmesherOptions } from './options.ts';
export {
  dataPlaneConfig,
  emesherConfig,
  type DataPlaneConfig,
  type EmesherConfig,
} from './config.ts';
export { emesherMetrics } from './metrics.ts';
export { neighboursOf } from './neighbours.ts';
