import { join } from 'node:path';
import { format } from 'prettier';
import { appConfig, partialSchema } from './app-configs.ts';
import type { Schema } from './schema-parts.ts';
import { SERVICES, valuesSchema, type ServiceKey } from './values-schema.ts';

export const CHART = join(import.meta.dirname, '../../helm/eventmesh');
export const SCHEMA_FILE = join(CHART, 'values.schema.json');

/** The text of values.schema.json as the values and the services' configurations ask for it. */
export async function schemaText(): Promise<string> {
  const configs = {} as Record<ServiceKey, Schema>;
  for (const key of Object.keys(SERVICES) as ServiceKey[]) {
    configs[key] = partialSchema(await appConfig(key));
  }
  const text = JSON.stringify(valuesSchema(configs));
  return format(text, { parser: 'json', printWidth: 100 });
}
