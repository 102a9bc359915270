import type { EventView } from '@eventmesh/event';
import { attributeText, type AttributeValue } from '@eventmesh/event';

/** The event in the CloudEvents JSON format 1.0. */
export function eventJson(event: EventView): Record<string, unknown> {
  const out: Record<string, unknown> = {
    specversion: event.specVersion,
    id: event.id,
    source: event.source,
    type: event.type,
  };
  for (const [name, value] of event.attributes) out[name] = attributeJson(value);
  const { data } = event;
  if (data === undefined) return out;
  const text = data.kind === 'proto' ? undefined : utf8(data.bytes);
  if (text === undefined) out['data_base64'] = Buffer.from(data.bytes).toString('base64');
  else out['data'] = isJson(event.text('datacontenttype')) ? (parsed(text) ?? text) : text;
  return out;
}

function attributeJson(value: AttributeValue): unknown {
  if (value.kind === 'boolean' || value.kind === 'integer') return value.value;
  return attributeText(value);
}

/** JSON data is the default of a CloudEvent that names no content type (JSON format, 3.1). */
function isJson(contentType: string | undefined): boolean {
  if (contentType === undefined) return true;
  return /^[^;]+[/+]json\s*(;|$)/i.test(contentType);
}

/** The bytes as text when they are UTF-8 through and through. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
