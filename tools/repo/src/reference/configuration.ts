import { configRows, type Entry } from '@eventmesh/config';
import { code, page, table } from './markdown.ts';
import { load } from './load.ts';

/** Each service, and the export of its index that declares its settings. */
const SERVICES: Readonly<Record<string, string>> = Object.freeze({
  emesher: 'emesherConfig',
  'store-gateway': 'storeGatewayConfig',
  registry: 'registryConfig',
  acl: 'aclConfig',
  governance: 'governanceConfig',
});

const ABOUT = `Each service reads one YAML or JSON file (\`--config FILE\`). A setting can be given by
environment, too (\`EVENTMESH_GRPC__PORT=9090\` sets \`grpc.port\`; \`__\` between levels, \`_\` before a
capital), and on the command line (\`--set grpc.port=9090\`); the later of file, environment and
\`--set\` wins. Unknown keys are errors. A service with a bad configuration prints every problem and
exits with 64 before it listens anywhere; \`mesh check-config\` does the same check alone.

Durations are written \`500ms\`, \`30s\`, \`15m\`, \`24h\`, \`7d\`, sizes \`64KiB\`, \`1MiB\`. A secret is
\`{ file: PATH }\` (preferred) or \`{ value: TEXT }\` and is never printed.`;

/** What each service declares of its configuration. */
export async function configurations(): Promise<ReadonlyMap<string, Entry<unknown>>> {
  const found = new Map<string, Entry<unknown>>();
  for (const [service, name] of Object.entries(SERVICES)) {
    const spec = (await load(`apps/${service}/src/index.ts`))[name] as Entry<unknown> | undefined;
    if (spec === undefined) throw new Error(`apps/${service}/src/index.ts does not export ${name}`);
    found.set(service, spec);
  }
  return found;
}

export async function configurationPage(): Promise<string> {
  const sections: string[] = [];
  for (const [service, spec] of await configurations()) {
    const rows = configRows(spec).map((row) => [
      code(row.key),
      row.kind,
      row.default === 'required' || row.default === 'none' ? row.default : code(row.default),
      row.about,
    ]);
    sections.push(
      `## ${service}\n\n${spec.about}`,
      table(['key', 'kind', 'default', 'what'], rows),
    );
  }
  return page('Configuration', ABOUT, sections);
}
