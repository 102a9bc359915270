import { isUtf8 } from 'node:buffer';
import type { EventData } from './cloud-event.ts';
import { isJsonContentType } from './media-type.ts';
import { asBuffer } from './protobuf.ts';

/** Largest data that is parsed as JSON, in bytes. */
export const JSON_DATA_BYTES_MAX = 256 * 1024;

/**
 * The JSON value of an event's data; undefined when it is not JSON or larger than
 * `JSON_DATA_BYTES_MAX`. Without a content type it is JSON when it parses, as CloudEvents has it.
 * Of members with one name the last counts. `__proto__` is a member like any other: read it by
 * `Object.hasOwn`.
 */
export function parseJsonData(
  data: EventData | undefined,
  contentType: string | undefined,
): unknown {
  if (data === undefined || data.kind === 'proto') return undefined;
  if (data.bytes.length > JSON_DATA_BYTES_MAX) return undefined;
  if (contentType !== undefined && !isJsonContentType(contentType)) return undefined;
  const bytes = asBuffer(data.bytes);
  if (!isUtf8(bytes)) return undefined;
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    // The question is just whether it is JSON.
    return undefined;
  }
}
