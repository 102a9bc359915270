/** The process environment; the only place in the product that reads it. */
export const environment = (): Readonly<Record<string, string | undefined>> => process.env;
