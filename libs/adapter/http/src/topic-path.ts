import { invalid } from '@eventmesh/errors';

/**
 * The topic of `/v1/topics/<levels>`: every level is percent-encoded on its own, so `a%20b/c` is the
 * topic `a b/c`. A topic is levels joined by `/`; a level that holds an encoded slash has no place in
 * it and is refused rather than read as two.
 *
 * @param url The request target as it came.
 * @throws MeshError InvalidArgument, field `topic`.
 */
export function topicOfPath(url: string): string {
  const query = url.indexOf('?');
  const end = query === -1 ? url.length : query;
  const start = url.indexOf('/', url.indexOf('/', 1) + 1) + 1;
  const path = url.slice(start, end);
  if (/[^\u0021-\u007e]/.test(path)) throw invalid('topic', 'must be percent-encoded in the path');
  if (!path.includes('%')) return path;
  return path.split('/').map(decodeLevel).join('/');
}

function decodeLevel(level: string): string {
  let text: string;
  try {
    text = decodeURIComponent(level);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw invalid('topic', `"${level}" is not percent-encoded UTF-8`);
  }
  if (text.includes('/')) throw invalid('topic', 'a level cannot contain a slash (%2F)');
  return text;
}

/**
 * Parses a query. Unlike a form's, a plus sign stands for itself: topic filters are full of them.
 * A name that is there twice gives a list.
 */
export function parseQuery(text: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = Object.create(null) as Record<string, string>;
  if (text === '') return query;
  for (const pair of text.split('&')) {
    const at = pair.indexOf('=');
    const name = decodePart(at === -1 ? pair : pair.slice(0, at));
    const value = at === -1 ? '' : decodePart(pair.slice(at + 1));
    const before = query[name];
    if (before === undefined) query[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else query[name] = [before, value];
  }
  return query;
}

function decodePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    // The name or value then fails whatever check it meets, which names it.
    return `${text}\ufffd`;
  }
}
