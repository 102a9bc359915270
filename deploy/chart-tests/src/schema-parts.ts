/** JSON schema (draft 7, which every helm 3 and 4 reads), mostly a line per property. */
export type Schema = Readonly<Record<string, unknown>>;

export const text = (description: string, more: Schema = {}): Schema => ({
  description,
  type: 'string',
  ...more,
});

export const flag = (description: string): Schema => ({ description, type: 'boolean' });

export const integer = (description: string, minimum: number, maximum?: number): Schema => ({
  description,
  type: 'integer',
  minimum,
  ...(maximum === undefined ? {} : { maximum }),
});

export const choice = (description: string, ...values: readonly string[]): Schema => ({
  description,
  type: 'string',
  enum: values,
});

export const list = (description: string, items: Schema, more: Schema = {}): Schema => ({
  description,
  type: 'array',
  items,
  ...more,
});

/** An object with exactly these properties; unknown ones are refused. */
export const closed = (
  description: string,
  properties: Readonly<Record<string, Schema>>,
  more: Schema = {},
): Schema => ({
  description,
  type: 'object',
  additionalProperties: false,
  properties,
  ...more,
});

/** Free names to values of one kind, such as labels. */
export const map = (description: string, values: Schema = { type: 'string' }): Schema => ({
  description,
  type: 'object',
  additionalProperties: values,
});

/**
 * An object of the Kubernetes API that the chart hands on as it is; `$comment` marks it as open on
 * purpose, and the API server validates it.
 */
export const kubernetes = (description: string, more: Schema = {}): Schema => ({
  description,
  type: 'object',
  $comment: 'Kubernetes API object, validated by the API server',
  ...more,
});

/** A shared definition, perhaps with a description that says more than the shared one. */
export const ref = (name: string, description?: string): Schema => ({
  ...(description === undefined ? {} : { description }),
  $ref: `#/definitions/${name}`,
});

export const DURATION: Schema = { pattern: '^[1-9][0-9]*(ms|s|m|h)$' };
/** Name of a Kubernetes object, or nothing. */
export const NAME_OR_EMPTY: Schema = {
  pattern: '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$',
};
export const NAME: Schema = { pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$' };
export const SITE: Schema = { pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' };
