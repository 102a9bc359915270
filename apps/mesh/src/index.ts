export { startSite, type RunningSite, type StartSiteOptions } from './site/start-site.ts';
export { loadIdentity, type Identity } from './dev/identity.ts';
export { startLocalMesh, type LocalMesh, type LocalMeshOptions } from './dev/local-mesh.ts';
export { ManagedProcess, type ProcessObserver, type ProcessSpec } from './dev/managed-process.ts';
export { parseMetrics, total, type Sample } from './dev/metrics-text.ts';
export { planSites, type Plan, type PlanOptions, type SitePlan } from './dev/plan.ts';
