import type { EventView } from '@eventmesh/event';

/**
 * Reads an attribute by name as its canonical string, required ones without touching the attribute
 * map.
 */
export function attributeReader(name: string): (event: EventView) => string | undefined {
  switch (name) {
    case 'id':
      return (event) => event.id;
    case 'source':
      return (event) => event.source;
    case 'type':
      return (event) => event.type;
    case 'specversion':
      return (event) => event.specVersion;
    default:
      return (event) => event.text(name);
  }
}
