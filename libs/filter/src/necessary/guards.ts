import type { EventView } from '@eventmesh/event';
import { readBoolean, readExists, readInteger, readText, readValue } from '../sql/attributes.ts';
import { Fault } from '../sql/fault.ts';
import type { Guard } from './condition.ts';

/** Whether a guard holds, asked of the very readers that expressions are made of. */
export function compileGuard({ attribute: name, as, orAbsent }: Guard): (e: EventView) => boolean {
  const place = { name, start: 0, end: 0, type: 'any', depth: 1 } as const;
  const read = readerOf({ ...place, kind: 'attribute' }, as);
  const exists = readExists({ ...place, kind: 'exists' });
  return (event) => (orAbsent && exists(event) !== true) || read(event);
}

type AttributeNode = Parameters<typeof readValue>[0];

function readerOf(node: AttributeNode, as: Guard['as']): (event: EventView) => boolean {
  const fault = new Fault();
  if (as === 'string') {
    const value = readValue(node, fault);
    return (event) => typeof value(event) === 'string';
  }
  const read = READERS[as](node, fault);
  return (event) => read(event) !== undefined;
}

const READERS = { text: readText, integer: readInteger, boolean: readBoolean };
