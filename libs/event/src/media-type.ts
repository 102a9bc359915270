/** Type and subtype of a content type in lower case, without its parameters. */
export function mediaType(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** The `charset` parameter in lower case, without quotes; undefined when there is none. */
export function charset(contentType: string): string | undefined {
  return /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1]?.toLowerCase();
}

/** Whether a content type declares JSON: `…/json` or `…+json` (JSON format 1.0.2, 3.1.1). */
export function isJsonContentType(contentType: string): boolean {
  const type = mediaType(contentType);
  return type.endsWith('/json') || type.endsWith('+json');
}

/** Whether data of this content type is text in UTF-8 as far as its name says. */
export function isTextContentType(contentType: string): boolean {
  const type = mediaType(contentType);
  const textual = type.startsWith('text/') || type.endsWith('+xml') || type.endsWith('/xml');
  const encoding = charset(contentType);
  return encoding === undefined ? textual : /^(utf-?8|us-ascii)$/.test(encoding);
}
