import { DATA_PATH_MAX, FILTER_NODES_MAX, SQL_LENGTH_MAX } from '@eventmesh/filter';

type Shape = Readonly<Record<string, unknown>>;

const one = (dialect: string, value: Shape): Shape => ({
  type: 'object',
  properties: { [dialect]: value },
  required: [dialect],
  additionalProperties: false,
});

const attributes: Shape = {
  type: 'object',
  additionalProperties: { type: 'string', minLength: 1 },
  minProperties: 1,
};
const nested: Shape = { type: 'object', description: 'A filter of any dialect.' };
const path: Shape = { type: 'string', maxLength: DATA_PATH_MAX, example: '$.lines[*].sku' };

const looks = (test: string, value: Shape): Shape => ({
  type: 'object',
  properties: { path, [test]: value },
  required: ['path', test],
  additionalProperties: false,
});

/** What the OpenAPI document says of a subscription's filters. */
export const filtersSchema: Shape = {
  type: 'array',
  maxItems: FILTER_NODES_MAX,
  description: 'CloudEvents filters, all of which must hold.',
  items: {
    oneOf: [
      one('exact', attributes),
      one('prefix', attributes),
      one('suffix', attributes),
      one('all', { type: 'array', items: nested, minItems: 1 }),
      one('any', { type: 'array', items: nested, minItems: 1 }),
      one('not', nested),
      one('sql', {
        type: 'string',
        maxLength: SQL_LENGTH_MAX,
        description: 'A CloudEvents SQL 1.0 expression.',
        example: "type LIKE 'com.example.%' AND priority > 5",
      }),
      one('data', {
        description: 'A look into JSON data of at most 256 KiB.',
        oneOf: [
          looks('equals', { description: 'A string, a number, true, false or null.' }),
          looks('prefix', { type: 'string', minLength: 1 }),
          looks('suffix', { type: 'string', minLength: 1 }),
          looks('less', { type: 'number' }),
          looks('greater', { type: 'number' }),
          looks('exists', { type: 'boolean', enum: [true] }),
        ],
      }),
    ],
  },
};
