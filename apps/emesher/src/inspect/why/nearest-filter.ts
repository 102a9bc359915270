/** The topic filter that comes closest to a topic that none matches, and where it parts from it. */
export function nearestFilter(
  topicFilters: readonly string[],
  topic: string,
): { readonly filter: string; readonly parts: string } {
  let nearest = { filter: '', parts: 'there are no topic filters', depth: -1 };
  for (const filter of topicFilters) {
    const parted = partsAt(filter.split('/'), topic.split('/'));
    if (parted.depth > nearest.depth) nearest = { filter, ...parted };
  }
  return { filter: nearest.filter, parts: nearest.parts };
}

/** The first level at which a filter says no, in words. */
function partsAt(
  wanted: readonly string[],
  levels: readonly string[],
): { readonly depth: number; readonly parts: string } {
  const wild = wanted[0] === '+' || wanted[0] === '#';
  if (wild && levels[0]?.startsWith('$') === true) {
    return { depth: 0, parts: 'a wildcard in the first level does not match a topic of `$`' };
  }
  for (const [depth, want] of wanted.entries()) {
    const have = levels[depth];
    if (want === '#') return { depth, parts: 'it matches' };
    if (have === undefined) {
      return {
        depth,
        parts: `it asks for a level ${depth + 1}, "${want}", which the topic has not`,
      };
    }
    if (want !== '+' && want !== have) {
      return {
        depth,
        parts: `it asks for "${want}" at level ${depth + 1}, the topic has "${have}"`,
      };
    }
  }
  const depth = wanted.length;
  return {
    depth,
    parts: `it ends after level ${depth}, the topic goes on with "${levels[depth]}"`,
  };
}
