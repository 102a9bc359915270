/** The text is not an expression. Caught where a filter is compiled, which knows the field. */
export class SqlSyntaxError extends Error {
  override readonly name = 'SqlSyntaxError';
  /** Offset in UTF-16 units, from 0. */
  readonly at: number;
  /** The bound that was crossed, with its unit. */
  readonly limit: string | undefined;

  constructor(at: number, message: string, limit?: string) {
    super(message);
    this.at = at;
    this.limit = limit;
  }
}
