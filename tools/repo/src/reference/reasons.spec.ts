import { describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CODE_FACTS, MESH_CODES, REASONS, type MeshCode, type Reason } from '@eventmesh/errors';
import ts from 'typescript';
import { WORKSPACE } from '../workspace.ts';
import { errorsPage } from './errors.ts';

/** What is shipped, without the table itself and what is only for tests. */
function shippedSources(): string[] {
  return ['apps', 'libs']
    .flatMap((folder) =>
      readdirSync(join(WORKSPACE, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
        join(folder, file),
      ),
    )
    .filter((file) => /\/src\/.*\.ts$/.test(file))
    .filter((file) => !/node_modules|generated|\/test\/|^libs\/testing|\.spec\.ts$/.test(file))
    .filter((file) => file !== 'libs/errors/src/reasons.ts')
    .map((file) => readFileSync(join(WORKSPACE, file), 'utf8'));
}

const CODE_OF_SHORTHAND: Readonly<Record<string, string>> = { invalid: 'InvalidArgument' };

interface Given {
  readonly words: ReadonlySet<string>;
  /** Where a reason stands in the arguments of a new error: code and reason. */
  readonly pairs: readonly (readonly [code: string, reason: string])[];
}

function given(text: string): Given {
  const words = new Set<string>();
  const pairs: [string, string][] = [];
  const visit = (node: ts.Node, code: string | undefined) => {
    let inside = code;
    if (ts.isStringLiteral(node)) words.add(node.text);
    if (ts.isNewExpression(node) && node.expression.getText() === 'MeshError') {
      const [first] = node.arguments ?? [];
      inside = first !== undefined && ts.isStringLiteral(first) ? first.text : undefined;
    } else if (ts.isCallExpression(node)) inside = CODE_OF_SHORTHAND[node.expression.getText()];
    else if (
      ts.isPropertyAssignment(node) &&
      node.name.getText() === 'reason' &&
      ts.isStringLiteral(node.initializer) &&
      inside !== undefined
    ) {
      pairs.push([inside, node.initializer.text]);
    }
    ts.forEachChild(node, (child) => visit(child, inside));
  };
  visit(ts.createSourceFile('a.ts', text, ts.ScriptTarget.Latest, true), undefined);
  return { words, pairs };
}

describe('the table of reasons', () => {
  const sources = shippedSources()
    .filter((text) => /'[A-Z][A-Z_]+'/.test(text))
    .map(given);

  it('has none that no shipped code gives', () => {
    const words = new Set(sources.flatMap((source) => [...source.words]));
    expect(Object.keys(REASONS).filter((reason) => !words.has(reason))).toEqual([]);
  });

  it('has each with the code that it is given with', () => {
    const pairs = sources.flatMap((source) => source.pairs);
    expect(pairs.length).toBeGreaterThan(50);
    const table: Readonly<Record<string, { readonly code: MeshCode }>> = REASONS;
    expect(pairs.filter(([code, reason]) => table[reason]?.code !== code)).toEqual([]);
  });

  it('has the reason of every code', () => {
    for (const code of MESH_CODES) expect(REASONS[CODE_FACTS[code].reason].code).toBe(code);
  });

  it('stands whole on the page of errors', () => {
    const text = errorsPage();
    for (const reason of Object.keys(REASONS) as Reason[]) {
      expect(text).toContain(`| \`${reason}\` | \`${REASONS[reason].code}\` | `);
    }
  });

  it.each([
    [`new MeshError('Aborted', 'x', { field: 'f', reason: 'SEEK' })`, [['Aborted', 'SEEK']]],
    [`invalid('f', 'x', cond ? { reason: 'SCHEMA' } : {})`, [['InvalidArgument', 'SCHEMA']]],
    [`new MeshError(code, 'x', { reason: 'SEEK' })`, []],
    [`log({ reason: 'SEEK' })`, []],
  ])('is told of %s', (text, pairs) => {
    expect(given(text).pairs).toEqual(pairs);
  });
});
