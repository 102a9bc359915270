import { attributeText, type AttributeValue, type EventView } from '@eventmesh/event';
import type { SqlNode, SqlValue } from './ast.ts';
import { toBoolean, toInteger } from './casts.ts';
import type { Run } from './compile.ts';
import type { Fault } from './fault.ts';
import { SQL_TEXT_MAX } from './functions.ts';

type AttributeNode = SqlNode & { kind: 'attribute' };

/** The attributes that every event has, which lie beside the others. */
const REQUIRED: ReadonlyMap<string, (event: EventView) => string> = new Map([
  ['id', (event: EventView) => event.id],
  ['source', (event: EventView) => event.source],
  ['type', (event: EventView) => event.type],
  ['specversion', (event: EventView) => event.specVersion],
]);

export function readExists({ name }: SqlNode & { kind: 'exists' }): Run<boolean> {
  return REQUIRED.has(name) ? () => true : (event) => event.attributes.has(name);
}

/** An attribute as it is: Integer, Boolean, and everything else as its canonical String. */
export function readValue(node: AttributeNode, fault: Fault): Run<SqlValue> {
  const required = REQUIRED.get(node.name);
  if (required !== undefined) return (event) => checkLength(required(event), node, fault);
  return (event) => {
    const value = event.attributes.get(node.name);
    return value === undefined ? missing(node, fault) : valueOf(value, node, fault);
  };
}

export function readText(node: AttributeNode, fault: Fault): Run<string> {
  const required = REQUIRED.get(node.name);
  if (required !== undefined) return (event) => checkLength(required(event), node, fault);
  return (event) => {
    const value = event.attributes.get(node.name);
    if (value === undefined) return missing(node, fault);
    return value.kind === 'string'
      ? checkLength(value.value, node, fault)
      : shown(value, node, fault);
  };
}

export function readInteger(node: AttributeNode, fault: Fault): Run<number> {
  const read = readValue(node, fault);
  return (event) => {
    const value = read(event);
    if (typeof value === 'number' || value === undefined) return value;
    return toInteger(value) ?? fault.raise('cast', node, '$ is not an Integer', value);
  };
}

export function readBoolean(node: AttributeNode, fault: Fault): Run<boolean> {
  const read = readValue(node, fault);
  return (event) => {
    const value = read(event);
    if (typeof value === 'boolean' || value === undefined) return value;
    return toBoolean(value) ?? fault.raise('cast', node, '$ is not a Boolean', value);
  };
}

function valueOf(value: AttributeValue, node: AttributeNode, fault: Fault): SqlValue | undefined {
  if (value.kind === 'integer' || value.kind === 'boolean') return value.value;
  return value.kind === 'string'
    ? checkLength(value.value, node, fault)
    : shown(value, node, fault);
}

/** Steps for showing a value as text, beside one for each eight characters of it. */
const SHOW_STEPS = 64;

/** What is no text is made one each time it is looked at. */
function shown(value: AttributeValue, node: AttributeNode, fault: Fault): string | undefined {
  if (value.kind === 'bytes' && value.value.length > SQL_TEXT_MAX) return tooLong(node, fault);
  const text = attributeText(value);
  const steps = SHOW_STEPS + (text.length >> 3);
  return fault.spends(steps, node) ? checkLength(text, node, fault) : undefined;
}

/** What an expression costs is the product of its size and that of the strings it looks at. */
function checkLength(text: string, node: AttributeNode, fault: Fault): string | undefined {
  return text.length <= SQL_TEXT_MAX ? text : tooLong(node, fault);
}

const tooLong = (node: AttributeNode, fault: Fault): undefined =>
  fault.raise('generic', node, `the attribute $ is longer than ${SQL_TEXT_MAX}`, node.name);

const missing = (node: AttributeNode, fault: Fault): undefined =>
  fault.raise('missingAttribute', node, 'the event has no attribute $', node.name);
