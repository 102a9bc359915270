import { isUtf8 } from 'node:buffer';
import { MeshError } from '@eventmesh/errors';

// HTTP protocol binding 1.0.2, 3.1.3.2: space, double quote, percent and all outside U+0021-U+007E.
const ENCODED = /[^\u0021\u0023\u0024\u0026-\u007e]/;
const ENCODED_RUN = /[^\u0021\u0023\u0024\u0026-\u007e]+/gu;

/** The value of a `ce-` header for an attribute's canonical string. */
export function encodeHeaderValue(text: string): string {
  if (!ENCODED.test(text)) return text;
  return text.replace(ENCODED_RUN, (run) => {
    let out = '';
    for (const byte of Buffer.from(run, 'utf8')) {
      out += `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
    }
    return out;
  });
}

const BEYOND_ASCII = /[^\u0000-\u007f]/;

/**
 * The attribute text of a `ce-` header (HTTP protocol binding 1.0.2, 3.1.3.2): a quoted string is
 * unquoted, then one round of percent-decoding. `raw` has one character per byte, as Node gives
 * headers. Producers that do not encode are understood too: raw bytes beyond ASCII are UTF-8, and
 * a percent sign that starts no escape stands for itself.
 *
 * @throws MeshError InvalidArgument that names `field` when raw bytes or an escape are not UTF-8:
 *   a guess, such as Latin-1, would make another text of them.
 */
export function decodeHeaderValue(raw: string, field: string): string {
  let text = raw;
  if (BEYOND_ASCII.test(text)) {
    const bytes = Buffer.from(text, 'latin1');
    if (!isUtf8(bytes))
      throw notUtf8(field, 'the raw bytes are not UTF-8; percent-encode the value');
    text = bytes.toString('utf8');
  }
  if (text.length > 1 && text.startsWith('"') && text.endsWith('"')) {
    text = text.slice(1, -1).replace(/\\(.)/g, '$1');
  }
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => {
    try {
      return decodeURIComponent(run);
    } catch (error) {
      throw notUtf8(field, 'a percent-encoded sequence is not UTF-8', error);
    }
  });
}

const notUtf8 = (field: string, text: string, cause?: unknown): MeshError =>
  new MeshError('InvalidArgument', `${field}: ${text}`, { field }, cause);
