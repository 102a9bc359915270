/** Writes deploy/helm/eventmesh/values.schema.json: `node deploy/chart-tests/src/generate.ts`. */
import { writeFileSync } from 'node:fs';
import { SCHEMA_FILE, schemaText } from './schema-file.ts';

writeFileSync(SCHEMA_FILE, await schemaText());
