import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Entry } from '@eventmesh/config';
import type { Schema } from './schema-parts.ts';
import { SERVICES, type ServiceKey } from './values-schema.ts';

const apps = join(import.meta.dirname, '../../../apps');

/**
 * The configuration spec that an app declares in src/config.ts: the one export that is a section
 * with `site` and `grpc`. Loaded by path, because only the host may depend on apps.
 */
export async function appConfig(key: ServiceKey): Promise<Entry<unknown> | undefined> {
  const file = join(apps, SERVICES[key], 'src/config.ts');
  if (!existsSync(file)) return undefined;
  const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  const specs = Object.values(module).filter(isServiceSpec);
  if (specs.length !== 1) {
    throw new Error(`${file} exports ${specs.length} service configurations; one was expected`);
  }
  return specs[0];
}

function isServiceSpec(value: unknown): value is Entry<unknown> {
  const entry = value as Partial<Entry<unknown>> | null;
  return entry?.kind === 'section' && entry.children?.['grpc'] !== undefined;
}

/**
 * The schema of what a user may say about a configuration file in the values: every key of the
 * service, none required, since the chart fills in the rest, and secrets only as files.
 */
export function partialSchema(spec: Entry<unknown>): Schema {
  return { description: 'Merged into its configuration file.', ...partial(spec.schema) };
}

function partial(schema: Schema): Schema {
  const { required, default: _, properties, ...rest } = schema;
  if (properties === undefined) return rest;
  const open = Object.entries(properties as Record<string, Schema>);
  const secret = open.map(([name]) => name).join() === 'file,value';
  return {
    ...rest,
    properties: Object.fromEntries(
      open
        .filter(([name]) => !(secret && name === 'value'))
        .map(([name, child]) => [name, { description: name, ...partial(child) }]),
    ),
  };
}
