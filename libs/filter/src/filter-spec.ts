/**
 * One filter of a subscription in its JSON form: the dialects of the CloudEvents Subscriptions API
 * 1.0, and `data`, which is the mesh's own. Attribute values of exact, prefix and suffix compare as
 * their canonical strings.
 */
export type FilterSpec =
  | { readonly exact: Readonly<Record<string, string>> }
  | { readonly prefix: Readonly<Record<string, string>> }
  | { readonly suffix: Readonly<Record<string, string>> }
  | { readonly all: readonly FilterSpec[] }
  | { readonly any: readonly FilterSpec[] }
  | { readonly not: FilterSpec }
  /** A CloudEvents SQL 1.0 expression. */
  | { readonly sql: string }
  | { readonly data: DataFilterSpec };

/** A value that a `data` filter can ask for. Numbers compare as doubles. */
export type JsonScalar = string | number | boolean | null;

/**
 * A look into JSON data: true when some value at `path` passes the one test beside it. False for
 * data that is not JSON, is larger than 256 KiB or has nothing at the path.
 */
export type DataFilterSpec = { readonly path: string } & (
  | { readonly equals: JsonScalar }
  | { readonly prefix: string }
  | { readonly suffix: string }
  | { readonly less: number }
  | { readonly greater: number }
  /** There is a value. For the opposite put the filter into a `not`. */
  | { readonly exists: true }
);

export const FILTER_DIALECTS = [
  'exact',
  'prefix',
  'suffix',
  'all',
  'any',
  'not',
  'sql',
  'data',
] as const;

/** Deepest nesting of all, any and not. */
export const FILTER_DEPTH_MAX = 16;
/** Most filter nodes of one subscription. */
export const FILTER_NODES_MAX = 256;
