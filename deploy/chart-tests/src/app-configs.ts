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
export async function appConfig(key: ServiceKey): Promise<Entry<unknown>> {
  const file = join(apps, SERVICES[key], 'src/config.ts');
  const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  const [spec, ...others] = Object.values(module).filter(isServiceSpec);
  if (spec === undefined || others.length > 0) {
    throw new Error(`${file} must export exactly one service configuration`);
  }
  return spec;
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
  const { properties, ...rest } = schema;
  const left = Object.fromEntries(
    Object.entries(rest).filter(([name]) => name !== 'required' && name !== 'default'),
  );
  if (properties === undefined) return left;
  const open = Object.entries(properties as Record<string, Schema>);
  const secret = open.map(([name]) => name).join() === 'file,value';
  return {
    ...left,
    properties: Object.fromEntries(
      open
        .filter(([name]) => !(secret && name === 'value'))
        .map(([name, child]) => [name, { description: name, ...partial(child) }]),
    ),
  };
}
