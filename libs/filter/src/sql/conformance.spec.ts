import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import {
  EventView,
  attributeText,
  encodeEvent,
  parseTimestamp,
  type AttributeValue,
} from '@eventmesh/event';
import { SqlExpression } from './sql.ts';
import { SqlSyntaxError } from './syntax-error.ts';

/**
 * The CloudEvents SQL conformance kit. It is no part of a clone; where it lies beside one it is run
 * whole. What it asks for is also in the cases of sql.spec.ts.
 */
const KIT = resolve(import.meta.dirname, '../../../../../shared/data/cesql-tck');
const CASES = 275;

interface KitCase {
  readonly name: string;
  readonly expression: string;
  readonly result?: string | number | boolean;
  readonly error?: string;
  readonly event?: Readonly<Record<string, string | number | boolean>>;
  readonly eventOverrides?: Readonly<Record<string, string | number | boolean>>;
}

const files = existsSync(KIT) ? readdirSync(KIT).filter((name) => name.endsWith('.yaml')) : [];
const suites = files.map((file) => {
  const { name, tests } = parse(readFileSync(join(KIT, file), 'utf8')) as {
    name: string;
    tests: KitCase[];
  };
  return { name, tests };
});

(suites.length === 0 ? describe.skip : describe)('the conformance kit', () => {
  it('is whole', () => {
    expect(suites.flatMap(({ tests }) => tests)).toHaveLength(CASES);
  });

  it.each(
    suites.flatMap(({ name, tests }) =>
      tests.map((test): [string, KitCase] => [`${name}: ${test.name}`, test]),
    ),
  )('%s', (_, { expression, result, error, event, eventOverrides }) => {
    // YAML reads an expression such as TRUE or -10 as a value of its own.
    const text = typeof expression === 'string' ? expression : String(expression).toUpperCase();
    if (error === 'parse') {
      expect(() => new SqlExpression(text)).toThrow(SqlSyntaxError);
      return;
    }
    const given = { id: 'a', source: 'b', type: 'c', ...event, ...eventOverrides };
    const got = new SqlExpression(text).evaluate(eventOf(given));
    expect(got.error?.kind).toBe(error);
    if (result !== undefined) expect(got.value).toBe(expected(result));
  });
});

function eventOf(given: Readonly<Record<string, string | number | boolean>>): EventView {
  const { id, source, type, specversion, ...others } = given;
  return new EventView(
    encodeEvent({
      id: String(id),
      source: String(source),
      type: String(type),
      specVersion: String(specversion ?? '1.0'),
      attributes: Object.entries(others).map(([name, value]) => [name, attributeOf(name, value)]),
    }),
  );
}

function attributeOf(name: string, value: string | number | boolean): AttributeValue {
  if (typeof value === 'boolean') return { kind: 'boolean', value };
  if (typeof value === 'number') return { kind: 'integer', value };
  return name === 'time' ? parseTimestamp(value, name) : { kind: 'string', value };
}

/** An event keeps the instant of a time, not the offset it was written with. */
function expected(result: string | number | boolean): string | number | boolean {
  if (typeof result !== 'string' || !/^\d{4}-\d\d-\d\dT/.test(result)) return result;
  return attributeText(parseTimestamp(result, 'result'));
}
