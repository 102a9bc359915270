export { createAclApp, type AclApp, type AclAppConfig, type AclDeps } from './app.ts';
export { ACL_PORT, aclConfig, aclSettings, type AclConfig, type AclSettings } from './config.ts';
export { checkBootstrap } from './bootstrap.ts';
export { ACL_METRICS } from './metrics.ts';
export type { DemoUser } from './demo-users.ts';
