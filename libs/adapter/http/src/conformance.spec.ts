import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import type { EventView } from '@eventmesh/event';
import { MemoryMesh } from '@eventmesh/testing';
import { call, makeAdapter, type Answer, type Call } from './testing/http-client.ts';

let mesh: MemoryMesh;
let adapter: ProtocolAdapter;
let address: string;

beforeAll(async () => {
  mesh = new MemoryMesh();
  adapter = makeAdapter(mesh);
  await adapter.start();
  address = adapter.addresses()['http'] ?? '';
});

afterAll(async () => {
  await adapter.stop();
  mesh.close();
});

let count = 0;
const dataOf = (view: EventView): string => Buffer.from(view.data?.bytes ?? []).toString();
const attributesOf = (view: EventView): Record<string, string | undefined> => ({
  ...Object.fromEntries([...view.attributes.keys()].map((name) => [name, view.text(name)])),
  id: view.id,
  source: view.source,
  type: view.type,
  specversion: view.specVersion,
});

/** Publishes, and finds the stored event by its receipt. */
async function publish(given: Partial<Call>): Promise<{ answer: Answer; view: EventView }> {
  const answer = await call(address, { path: '/v1/topics/conformance', method: 'POST', ...given });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  const { position } = JSON.parse(answer.text) as { position: number };
  const view = mesh.log[0]?.[position - 1]?.view;
  if (view === undefined) throw new Error('the event is not where the receipt says');
  return { answer, view };
}

// The conformance data of the CloudEvents project, where it lies beside the workspace.
const conformance = resolve(import.meta.dirname, '../../../../../shared/data/cloudevents');
const feature = join(conformance, 'http-protocol-binding.feature');
const present = existsSync(feature);

describe(`CloudEvents conformance data (${present ? 'present' : 'absent: nothing to run'})`, () => {
  if (!present) {
    it('is not beside this workspace', () => {
      expect(existsSync(feature)).toBe(false);
    });
    return;
  }

  for (const { title, headers, body: sent, attributes, json } of featureScenarios()) {
    it(title, async () => {
      // The scenarios share an id and a source.
      mesh.forgetDuplicates();
      const { view } = await publish({ headers, body: sent });
      expect(attributesOf(view)).toEqual(attributes);
      expect(JSON.parse(dataOf(view))).toEqual(json);
    });
  }

  for (const file of ['v1.yaml', 'v1_minimum.yaml']) {
    const documents = parseAllDocuments(readFileSync(join(conformance, file), 'utf8'));
    for (const [index, document] of documents.entries()) {
      const given = (document as unknown as { toJS(): ConformanceEvent }).toJS();
      for (const mode of ['binary', 'structured'] as const) {
        it(`${file} event ${index + 1} in ${mode} mode`, () => conforms(given, mode, index));
      }
    }
  }
});

interface ConformanceEvent {
  readonly ContextAttributes: Readonly<Record<string, unknown>> & {
    readonly Extensions?: Readonly<Record<string, string>>;
  };
  readonly Data: string;
}

/** Publishes a conformance event and reads it back from the store. */
async function conforms(
  given: ConformanceEvent,
  mode: 'binary' | 'structured',
  index: number,
): Promise<void> {
  const { Extensions = {}, ...context } = given.ContextAttributes;
  const attributes: Record<string, string> = {
    ...Object.fromEntries(Object.entries(context).map(([name, value]) => [name, String(value)])),
    // The files write block scalars; their final line break is no part of an attribute.
    ...Object.fromEntries(Object.entries(Extensions).map(([name, value]) => [name, value.trim()])),
    specversion: '1.0',
    id: `conformance-${mode}-${index}-${++count}`,
  };
  const time = attributes['time'];
  if (time !== undefined) attributes['time'] = new Date(time).toISOString();
  const { datacontenttype = 'application/json', ...others } = attributes;
  const asJson = datacontenttype.startsWith('application/json');
  const message: Partial<Call> =
    mode === 'binary'
      ? {
          headers: {
            'content-type': datacontenttype,
            ...Object.fromEntries(
              Object.entries(others).map(([name, value]) => [`ce-${name}`, encodeURI(value)]),
            ),
          },
          body: given.Data,
        }
      : {
          headers: { 'content-type': 'application/cloudevents+json' },
          body: JSON.stringify({
            ...attributes,
            datacontenttype,
            data: asJson ? (JSON.parse(given.Data) as unknown) : given.Data,
          }),
        };
  const { view } = await publish(message);
  const stored = attributesOf(view);
  if (time !== undefined) stored['time'] = new Date(stored['time'] ?? '').toISOString();
  expect(stored).toEqual({ ...attributes, datacontenttype });
  if (asJson) expect(JSON.parse(dataOf(view))).toEqual(JSON.parse(given.Data));
  else expect(dataOf(view)).toBe(given.Data);
}

interface Scenario {
  readonly title: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly attributes: Record<string, string>;
  readonly json: unknown;
}

/** The scenarios of the HTTP feature file, with their examples put in. */
function featureScenarios(): Scenario[] {
  const outlines = readFileSync(feature, 'utf8').split('Scenario Outline: ').slice(1);
  return outlines.flatMap((outline) => {
    const [text = '', examples = ''] = outline.split('Examples:');
    const types = rows(examples)
      .slice(1)
      .map(([type = '']) => type);
    return types.map((type) => scenario(text.replaceAll('<contentType>', type)));
  });
}

function scenario(text: string): Scenario {
  const title = text.slice(0, text.indexOf('\n')).trim();
  const [, request = '', table = '', json = ''] = text.split('"""');
  const [head = '', ...rest] = dedent(request).split('\n\n');
  const headers = head
    .split('\n')
    .slice(1)
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    });
  const attributes = rows(table)
    .slice(1)
    .map(([key = '', value = '']) => [key, value]);
  return {
    title,
    headers: Object.fromEntries(headers.filter(([name]) => !/^(host|content-length)$/.test(name))),
    body: rest.join('\n\n'),
    attributes: Object.fromEntries(attributes) as Record<string, string>,
    json: JSON.parse(json),
  };
}

function dedent(text: string): string {
  const lines = text.replace(/^\n/, '').split('\n').slice(0, -1);
  const indent = Math.min(...lines.filter((l) => l.trim() !== '').map((l) => l.search(/\S/)));
  return lines.map((line) => line.slice(indent)).join('\n');
}

function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.trim().startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}
