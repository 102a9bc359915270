export {
  createGovernanceApp,
  type GovernanceApp,
  type GovernanceAppConfig,
  type GovernanceDeps,
} from './app.ts';
export {
  GOVERNANCE_PORT,
  governanceConfig,
  governanceSettings,
  type GovernanceConfig,
  type GovernanceSettings,
} from './config.ts';
export { checkBootstrap } from './bootstrap.ts';
export { GOVERNANCE_METRICS } from './metrics.ts';
