import { dirname, join } from 'node:path/posix';

/** A relative link of a page. */
export interface Link {
  /** As it is written. */
  readonly text: string;
  /** The file or folder that it leads to, relative to the workspace. */
  readonly path: string;
  /** The heading there; empty for none. */
  readonly anchor: string;
}

/** The relative links of a page, those in code left out. */
export function linksOf(path: string, markdown: string): Link[] {
  return [...withoutCode(markdown).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, text = '']) => text)
    .filter((text) => !/^[a-z]+:/.test(text))
    .map((text) => {
      const [file = '', anchor = ''] = text.split('#');
      return { text, path: file === '' ? path : join(dirname(path), file), anchor };
    });
}

/** What headings of a page are linked by, as GitHub makes it. */
export function anchorsOf(markdown: string): string[] {
  return [...withoutFences(markdown).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  );
}

/** Paths of files and folders of the workspace that a page names in code, such as `libs/event`. */
export function pathsOf(markdown: string): string[] {
  return [...withoutFences(markdown).matchAll(/`([^`\n]+)`/g)]
    .map(([, code = '']) => code)
    .filter((code) => /^(apps|deploy|docs|libs|proto|tools)\/[\w./-]*$/.test(code))
    .map((code) => code.replace(/\/$/, ''));
}

/** The pages that can be come to from one by links; a folder stands for its README.md. */
export function reachedFrom(start: string, pages: ReadonlyMap<string, string>): Set<string> {
  const reached = new Set([start]);
  for (const path of reached) {
    for (const link of linksOf(path, pages.get(path) ?? '')) {
      for (const to of [link.path, join(link.path, 'README.md')]) {
        if (pages.has(to)) reached.add(to);
      }
    }
  }
  return reached;
}

const withoutFences = (markdown: string): string =>
  markdown.replaceAll(/^```[^\n]*\n[\s\S]*?^```$/gm, '');

const withoutCode = (markdown: string): string =>
  withoutFences(markdown).replaceAll(/`[^`\n]*`/g, '');
