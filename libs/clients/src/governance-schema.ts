import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { MeshError, invalid, tooLarge } from '@eventmesh/errors';
import { OutOfSteps, linearPattern, spend, type StepBudget } from './governance-pattern.ts';

/** Largest JSON Schema of an event type in bytes. */
export const SCHEMA_BYTES_MAX = 65_536;
/** Most subschemas, and their deepest nesting. */
const SUBSCHEMAS_MAX = 2000;
const DEPTH_MAX = 32;
/** With `uniqueItems` every pair may be compared, so the list must be bounded. */
const UNIQUE_ITEMS_MAX = 1000;
/** Steps of one validation: subschemas evaluated, and pattern instructions followed. */
const STEPS_MAX = 500_000;

/** Checks a value; answers what is wrong with it, or undefined. Never throws. */
export type SchemaCheck = (value: unknown) => string | undefined;

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
/** Formats that are simple, linear checks. */
const FORMATS = [
  'date',
  'time',
  'date-time',
  'duration',
  'uri',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uuid',
  'json-pointer',
] as const;
/** Ours, put into every subschema; ajv calls it whenever it evaluates one. */
const STEP = 'x-eventmesh-step';

// Validation never awaits, so one budget serves all; it is filled before each.
const budget: StepBudget = { left: 0 };
let compiler: { readonly ajv: Ajv2020; uses: number } | undefined;
/** ajv keeps what it compiled of each schema; after so many a new one takes over. */
const COMPILER_USES_MAX = 500;

/**
 * Compiles a JSON Schema (draft 2020-12) so that a check takes bounded time on any data: patterns
 * never backtrack, every evaluated subschema counts, references stay inside the document.
 *
 * @throws MeshError InvalidArgument or PayloadTooLarge that names `field` and the place.
 */
export function compileSchema(source: string, field = 'json_schema'): SchemaCheck {
  if (Buffer.byteLength(source) > SCHEMA_BYTES_MAX) {
    throw tooLarge(field, `is longer than ${SCHEMA_BYTES_MAX} bytes`, `${SCHEMA_BYTES_MAX} bytes`);
  }
  const schema = new SchemaWalk(field).root(parseJson(source, field));
  if (compiler === undefined || compiler.uses++ >= COMPILER_USES_MAX) {
    compiler = { ajv: createCompiler(), uses: 1 };
  }
  const { ajv } = compiler;
  let validate: ValidateFunction;
  // The schema itself is data for the schema of schemas.
  budget.left = STEPS_MAX;
  try {
    validate = ajv.compile(schema);
  } catch (error) {
    if (error instanceof MeshError) throw invalid(field, error.message);
    throw invalid(field, `is not a JSON Schema: ${(error as Error).message.slice(0, 500)}`);
  } finally {
    // It would be found by identity only, and this object is nobody else's.
    ajv.removeSchema(schema);
  }
  return (value) => check(validate, value);
}

function check(validate: ValidateFunction, value: unknown): string | undefined {
  budget.left = STEPS_MAX;
  try {
    if (validate(value) as boolean) return undefined;
  } catch (error) {
    // A RangeError is a stack that overflowed: a schema that refers to itself without end.
    if (error instanceof OutOfSteps || error instanceof RangeError) {
      return 'the data takes too many steps to check against the schema';
    }
    throw error;
  }
  const [first] = validate.errors ?? [];
  const path = first?.instancePath ?? '';
  return `${path === '' ? 'data' : `data${path}`} ${first?.message ?? 'is not valid'}`.slice(
    0,
    500,
  );
}

function createCompiler(): Ajv2020 {
  // ajv keeps patterns by their text, and would take any two without one for the same.
  const engine = (pattern: string) =>
    Object.assign(linearPattern(pattern, budget), { toString: () => pattern });
  const regExp = Object.assign(engine, { code: 'linearPattern' });
  const ajv = new Ajv2020({
    strict: false,
    logger: false,
    // Written out once and called, however often it is referred to.
    inlineRefs: false,
    // A property that only the prototype has is no property.
    ownProperties: true,
    code: { regExp },
  });
  addFormats.default(ajv, { mode: 'fast', formats: [...FORMATS] });
  ajv.addKeyword({
    keyword: STEP,
    schema: false,
    errors: false,
    validate: () => {
      spend(budget);
      return true;
    },
  });
  return ajv;
}

function parseJson(source: string, field: string): unknown {
  try {
    return JSON.parse(source);
  } catch (error) {
    throw invalid(field, `is not JSON: ${(error as Error).message}`);
  }
}

type Json = Readonly<Record<string, unknown>>;

/** Keywords by what they hold; everything else holds no schema and is copied as it is. */
const ONE = new Set([
  'additionalProperties',
  'unevaluatedProperties',
  'propertyNames',
  'items',
  'contains',
  'unevaluatedItems',
  'not',
  'if',
  'then',
  'else',
]);
const LIST = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const NAMED = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
]);

/** Copies a schema, checks its bounds and references, and marks each subschema for counting. */
class SchemaWalk {
  readonly #field: string;
  readonly #places = new Set<string>();
  readonly #anchors = new Set<string>();
  readonly #references: { readonly at: string; readonly to: string }[] = [];

  constructor(field: string) {
    this.#field = field;
  }

  root(schema: unknown): Json {
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
      throw invalid(this.#field, 'must be a JSON object');
    }
    const { $schema, $id: _, ...rest } = schema as Json;
    if ($schema !== undefined && String($schema).replace(/#$/, '') !== DIALECT) {
      throw invalid(this.#field, `$schema must be ${DIALECT}`);
    }
    const walked = this.#subschema(rest, '#', 1) as Json;
    for (const { at, to } of this.#references) {
      if (!this.#places.has(to) && !this.#anchors.has(to)) {
        throw invalid(this.#field, `${at}: $ref "${to}" is not a schema of this document`);
      }
    }
    return walked;
  }

  #subschema(schema: unknown, at: string, depth: number): unknown {
    this.#places.add(at);
    if (this.#places.size > SUBSCHEMAS_MAX) this.#tooMuch(at, `${SUBSCHEMAS_MAX} subschemas`);
    if (depth > DEPTH_MAX) this.#tooMuch(at, `${DEPTH_MAX} levels of nesting`);
    if (typeof schema === 'boolean') return schema;
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
      throw invalid(this.#field, `${at} must be a schema: an object or a boolean`);
    }
    const out: Record<string, unknown> = { [STEP]: true };
    for (const [key, value] of Object.entries(schema)) {
      if (key === '__proto__') throw invalid(this.#field, `${at}: "__proto__" is not allowed`);
      if (key !== STEP) out[key] = this.#keyword(schema as Json, key, value, at, depth);
    }
    return out;
  }

  #keyword(schema: Json, key: string, value: unknown, at: string, depth: number): unknown {
    const place = `${at}/${pointer(key)}`;
    if (key === '$id') throw invalid(this.#field, `${at}: $id is allowed at the top only`);
    if (key === '$ref' || key === '$dynamicRef') this.#reference(at, value);
    if (key === '$anchor' || key === '$dynamicAnchor') this.#anchors.add(`#${String(value)}`);
    if (key === 'uniqueItems' && value === true) this.#boundedList(schema, at);
    if (ONE.has(key)) return this.#subschema(value, place, depth + 1);
    if (LIST.has(key) && Array.isArray(value)) {
      return value.map((item, index) => this.#subschema(item, `${place}/${index}`, depth + 1));
    }
    if (NAMED.has(key) && typeof value === 'object' && value !== null) {
      const named = Object.entries(value).map(([name, item]) => {
        if (name === '__proto__')
          throw invalid(this.#field, `${place}: "__proto__" is not allowed`);
        return [name, this.#subschema(item, `${place}/${pointer(name)}`, depth + 1)];
      });
      return Object.fromEntries(named);
    }
    return value;
  }

  #reference(at: string, value: unknown): void {
    if (typeof value !== 'string' || !value.startsWith('#')) {
      throw invalid(this.#field, `${at}: $ref must begin with #; other documents are not loaded`);
    }
    try {
      this.#references.push({ at, to: decodeURIComponent(value).replace(/^#\/$/, '#') });
    } catch (error) {
      throw invalid(this.#field, `${at}: $ref: ${(error as Error).message}`);
    }
  }

  #boundedList(schema: Json, at: string): void {
    const { maxItems } = schema;
    if (typeof maxItems === 'number' && maxItems <= UNIQUE_ITEMS_MAX) return;
    throw invalid(this.#field, `${at}: uniqueItems needs maxItems of at most ${UNIQUE_ITEMS_MAX}`, {
      limit: `${UNIQUE_ITEMS_MAX} items`,
    });
  }

  #tooMuch(at: string, limit: string): never {
    throw invalid(this.#field, `${at}: has more than ${limit}`, { limit });
  }
}

/** RFC 6901 section 3. */
const pointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
