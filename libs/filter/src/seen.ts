import type { EventView } from '@eventmesh/event';

const SHOWN_MAX = 512;
const VALUE_MAX = 128;

/** Cut to what an explanation has room for. */
export const brief = (text: string, max = SHOWN_MAX): string =>
  text.length > max ? `${text.slice(0, max - 1)}…` : text;

/** An attribute as an explanation shows it. */
export function seenAttribute(name: string, event: EventView): string {
  const value = textOf(name, event);
  return value === undefined ? `${name} is absent` : `${name} is ${brief(value, VALUE_MAX)}`;
}

/**
 * A value in JSON data as an explanation shows it. What is no scalar is only named: publishers nest
 * it as deep as they like.
 */
export function seenValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(brief(value, VALUE_MAX));
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'a list' : 'an object';
}

function textOf(name: string, event: EventView): string | undefined {
  switch (name) {
    case 'id':
      return JSON.stringify(event.id);
    case 'source':
      return JSON.stringify(event.source);
    case 'type':
      return JSON.stringify(event.type);
    case 'specversion':
      return JSON.stringify(event.specVersion);
  }
  const value = event.attributes.get(name);
  if (value === undefined) return undefined;
  if (value.kind === 'integer' || value.kind === 'boolean') return String(value.value);
  return JSON.stringify(event.text(name));
}
