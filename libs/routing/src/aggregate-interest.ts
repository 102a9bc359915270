/**
 * The fewest topic filters that match every topic the given ones match: filters covered by another
 * one are dropped, and above `limit` filters that share their first levels are joined into
 * `those levels/#`, the deepest and most numerous first. Joining widens (some events travel that
 * nobody waits for) but never loses a topic. Sorted, so that equal interest looks equal.
 *
 * `#` does not match topics that start with `$`, so filters whose first level starts with `$` are
 * joined only below that level; so many distinct ones may exceed the limit.
 *
 * @param limit most filters to return, 1 or more. Default: no limit
 */
export function aggregateInterest(filters: Iterable<string>, limit = Infinity): string[] {
  const root = build(filters);
  const kept = withoutCovered(root);
  if (kept.length <= limit) return kept;
  return widen(build(kept), kept.length, limit);
}

interface FilterNode {
  readonly path: string;
  readonly depth: number;
  readonly children: Map<string, FilterNode>;
  /** A filter ends here. */
  ends: boolean;
}

function build(filters: Iterable<string>): FilterNode {
  const root: FilterNode = { path: '', depth: 0, children: new Map(), ends: false };
  for (const filter of filters) {
    let node = root;
    for (const level of filter.split('/')) {
      let child = node.children.get(level);
      if (child === undefined) {
        const path = node.depth === 0 ? level : `${node.path}/${level}`;
        child = { path, depth: node.depth + 1, children: new Map(), ends: false };
        node.children.set(level, child);
      }
      node = child;
    }
    node.ends = true;
  }
  return root;
}

function withoutCovered(root: FilterNode): string[] {
  const kept: string[] = [];
  eachEnd(root, (node) => {
    if (!isCovered(root, node.path.split('/'), 0, node)) kept.push(node.path);
  });
  return kept.sort();
}

function eachEnd(node: FilterNode, visit: (node: FilterNode) => void): void {
  if (node.ends) visit(node);
  for (const child of node.children.values()) eachEnd(child, visit);
}

/**
 * Whether a filter other than `self` covers the levels from `at` on. Agrees with `filterCovers`, but
 * for the one pair that cover each other: of `#` and `+/#` only the latter counts as covered.
 */
function isCovered(
  node: FilterNode,
  levels: readonly string[],
  at: number,
  self: FilterNode,
): boolean {
  const level = levels[at];
  const wild = at > 0 || level?.startsWith('$') !== true;
  const hash = node.children.get('#');
  if (wild && hash?.ends === true && hash !== self) return true;
  if (level === undefined) return node.ends && node !== self;
  if (level === '#') return false;
  const same = node.children.get(level);
  if (same !== undefined && isCovered(same, levels, at + 1, self)) return true;
  const plus = node.children.get('+');
  return wild && level !== '+' && plus !== undefined && isCovered(plus, levels, at + 1, self);
}

/** Joins branches from the deepest level up until few enough filters are left. */
function widen(root: FilterNode, count: number, limit: number): string[] {
  const byDepth: { node: FilterNode; filters: number }[][] = [];
  measure(root, byDepth);
  let left = count;
  for (let depth = byDepth.length - 1; depth >= 0 && left > limit; depth--) {
    const branches = (byDepth[depth] ?? [])
      // Deeper joins have happened since they were measured.
      .map(({ node }) => ({ node, filters: joinable(node) }))
      .filter(({ filters }) => filters > 1)
      .sort((a, b) => b.filters - a.filters || (a.node.path < b.node.path ? -1 : 1));
    for (const { node, filters } of branches) {
      if (left <= limit) break;
      join(node);
      left -= filters - 1;
    }
  }
  return withoutCovered(root);
}

function measure(node: FilterNode, byDepth: { node: FilterNode; filters: number }[][]): number {
  let filters = node.ends ? 1 : 0;
  for (const child of node.children.values()) filters += measure(child, byDepth);
  (byDepth[node.depth] ??= []).push({ node, filters });
  return filters;
}

/** How many filters one `#` under this node would replace. */
function joinable(node: FilterNode): number {
  let filters = node.ends ? 1 : 0;
  for (const [level, child] of node.children) {
    if (node.depth > 0 || !level.startsWith('$')) filters += joinable(child);
  }
  return filters;
}

function join(node: FilterNode): void {
  node.ends = false;
  for (const level of node.children.keys()) {
    if (node.depth > 0 || !level.startsWith('$')) node.children.delete(level);
  }
  const path = node.depth === 0 ? '#' : `${node.path}/#`;
  node.children.set('#', { path, depth: node.depth + 1, children: new Map(), ends: true });
}
