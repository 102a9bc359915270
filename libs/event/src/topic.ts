import { invalid } from '@eventmesh/errors';

/** Longest topic or topic filter in UTF-8 bytes. */
export const TOPIC_BYTES_MAX = 1024;
/** Most levels of a topic or topic filter. */
export const TOPIC_LEVELS_MAX = 64;

// Control characters and lone surrogates have no faithful form in every protocol.
const UNPRINTABLE = /\p{Cc}/u;

/**
 * Checks a topic: 1 to 1024 UTF-8 bytes, 1 to 64 levels joined by `/`, no wildcard, no control
 * character, no lone surrogate. Empty levels are legal, as in MQTT (4.7.3). Topics whose first
 * level starts with `$` belong to the mesh and are refused here.
 *
 * @throws MeshError InvalidArgument that names `field`.
 */
export function checkTopic(topic: string, field = 'topic'): string {
  checkName(topic, field);
  if (topic.includes('+') || topic.includes('#')) {
    throw invalid(field, `"${topic}" has a wildcard; a topic to publish to has none`);
  }
  if (topic.startsWith('$')) {
    throw invalid(field, `"${topic}" starts with $; such topics are reserved for the mesh`);
  }
  return topic;
}

/**
 * Checks a topic filter: as a topic, and `+` stands alone in its level, `#` alone in the last.
 *
 * @throws MeshError InvalidArgument that names `field`.
 */
export function checkTopicFilter(filter: string, field = 'topic filter'): string {
  checkName(filter, field);
  const levels = filter.split('/');
  for (const [index, level] of levels.entries()) {
    if (level.includes('+') && level !== '+') {
      throw invalid(field, `"${filter}": + must be alone in its level`);
    }
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) {
      throw invalid(field, `"${filter}": # must be alone in the last level`);
    }
  }
  return filter;
}

/**
 * Whether a topic filter matches a topic, with MQTT's meaning: `+` is one level, `#` this level and
 * all below, and so `a/#` matches `a` too (MQTT 4.7.1). A wildcard in the first level does not
 * match a topic that starts with `$` (MQTT 4.7.2).
 */
export function topicMatches(filter: string, topic: string): boolean {
  if (filter === topic) return true;
  if (topic.startsWith('$') && !filter.startsWith('$')) return false;
  let f = 0;
  let t = 0;
  for (;;) {
    const fEnd = levelEnd(filter, f);
    if (fEnd - f === 1 && filter[f] === '#') return true;
    if (t > topic.length) return false;
    const tEnd = levelEnd(topic, t);
    const plus = fEnd - f === 1 && filter[f] === '+';
    if (!plus && (fEnd - f !== tEnd - t || !filter.startsWith(topic.slice(t, tEnd), f)))
      return false;
    f = fEnd + 1;
    t = tEnd + 1;
    if (f > filter.length) return t > topic.length;
  }
}

/** Whether every topic that `inner` matches is matched by `outer` too. */
export function filterCovers(outer: string, inner: string): boolean {
  if (outer === inner) return true;
  if (inner.startsWith('$') !== outer.startsWith('$')) return false;
  const o = outer.split('/');
  const i = inner.split('/');
  for (let n = 0; ; n++) {
    const want = o[n];
    if (want === '#') return true;
    const have = i[n];
    // `a/#` also matches the parent `a`, so an outer that still has levels can never cover it.
    if (want === undefined || have === undefined) return want === have;
    // Every topic has a first level, so `+/#` is as wide as `#`.
    if (have === '#') return n === 0 && outer === '+/#';
    if (want === '+') continue;
    if (want !== have) return false;
  }
}

/** Whether some topic is matched by both filters. */
export function filtersIntersect(a: string, b: string): boolean {
  if (a.startsWith('$') !== b.startsWith('$')) return false;
  const x = a.split('/');
  const y = b.split('/');
  for (let n = 0; ; n++) {
    const p = x[n];
    const q = y[n];
    if (p === '#' || q === '#') return true;
    if (p === undefined || q === undefined) return p === q;
    if (p !== '+' && q !== '+' && p !== q) return false;
  }
}

function levelEnd(text: string, from: number): number {
  const end = text.indexOf('/', from);
  return end === -1 ? text.length : end;
}

function checkName(name: string, field: string): void {
  if (name === '') throw invalid(field, 'is empty; it needs at least one level');
  if (name.length > TOPIC_BYTES_MAX || Buffer.byteLength(name) > TOPIC_BYTES_MAX) {
    throw invalid(field, `is longer than ${TOPIC_BYTES_MAX} bytes of UTF-8`, {
      limit: `${TOPIC_BYTES_MAX} bytes`,
    });
  }
  if (UNPRINTABLE.test(name)) throw invalid(field, 'has a control character');
  if (!name.isWellFormed()) throw invalid(field, 'is not well-formed Unicode (lone surrogate)');
  let levels = 1;
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) levels++;
  if (levels > TOPIC_LEVELS_MAX) {
    throw invalid(field, `has ${levels} levels`, { limit: `${TOPIC_LEVELS_MAX} levels` });
  }
}
