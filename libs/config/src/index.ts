export {
  boolean,
  choice,
  duration,
  integer,
  isRequired,
  list,
  map,
  optional,
  port,
  section,
  size,
  text,
  type ConfigOf,
  type Entry,
} from './spec.ts';
export { Secret, secret } from './secret.ts';
export { ConfigError, loadConfig, validate, type ConfigSources } from './load.ts';
export { configRows, type ConfigRow } from './reference.ts';
export { environment } from './environment.ts';
