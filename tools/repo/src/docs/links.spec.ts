import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { WORKSPACE, readText, walk } from '../workspace.ts';
import { anchorsOf, linksOf, pathsOf, reachedFrom, type Link } from './links.ts';

const PAGES: ReadonlyMap<string, string> = new Map(
  walk('')
    .filter((path) => path.endsWith('.md'))
    .map((path) => [path, readText(path)]),
);

/** A folder of docs has to have an index; nobody reads a list of files. */
function leadsSomewhere({ path, anchor }: Link): boolean {
  if (!existsSync(join(WORKSPACE, path))) return false;
  if (anchor !== '') return anchorsOf(PAGES.get(path) ?? '').includes(anchor);
  return PAGES.has(path) || !path.startsWith('docs') || PAGES.has(`${path}/README.md`);
}

describe('the pages', () => {
  it('can all be come to from README.md by links', () => {
    const reached = reachedFrom('README.md', PAGES);
    const pages = [...PAGES.keys()].filter((path) => path.startsWith('docs/'));
    expect(pages.length).toBeGreaterThan(70);
    expect(pages.filter((path) => !reached.has(path))).toEqual([]);
  });

  it('have no link to a file or a heading that is not there, or to a folder of pages without an index', () => {
    const dead = [...PAGES].flatMap(([page, markdown]) =>
      linksOf(page, markdown)
        .filter((link) => !leadsSomewhere(link))
        .map(({ text }) => `${page}: ${text}`),
    );
    expect(dead).toEqual([]);
  });

  it('name no file or folder of the workspace that is not there', () => {
    const pages = [...PAGES].filter(([page]) => page !== 'CHANGELOG.md');
    const wrong = pages.flatMap(([page, markdown]) =>
      pathsOf(markdown)
        .filter((path) => !existsSync(join(WORKSPACE, path)))
        .map((path) => `${page}: ${path}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('the reading of pages', () => {
  it('finds relative links from where the page is, and none in code or to elsewhere', () => {
    const markdown = 'a [b](../c.md#d), [e](#f) `[g](h.md)` [i](https://j)\n```\n[k](l.md)\n```\n';
    expect(linksOf('docs/m/n.md', markdown)).toEqual([
      { text: '../c.md#d', path: 'docs/c.md', anchor: 'd' },
      { text: '#f', path: 'docs/m/n.md', anchor: 'f' },
    ]);
  });

  it('makes the anchors of headings as GitHub does', () => {
    const markdown = '# `mesh dev`\n\n```sh\n# no heading\n```\n\n## After a stop, all of it\n';
    expect(anchorsOf(markdown)).toEqual(['mesh-dev', 'after-a-stop-all-of-it']);
  });

  it('takes for paths what is code and lies in a folder of the workspace', () => {
    expect(pathsOf('`libs/event/` and `libs/*/src`, docs/x, `publish/direct.ts`')).toEqual([
      'libs/event',
    ]);
  });

  it('follows links over several pages, and folders to their README.md', () => {
    const pages = new Map([
      ['README.md', '[docs](docs)'],
      ['docs/README.md', '[a](a.md)'],
      ['docs/a.md', '[back](../README.md)'],
      ['docs/b.md', '[a](a.md)'],
    ]);
    expect([...reachedFrom('README.md', pages)]).toEqual([
      'README.md',
      'docs/README.md',
      'docs/a.md',
    ]);
  });
});
