/**
 * Values under topic filters, found by topic with MQTT's meaning: `+` is one level, `#` this level
 * and all below (so `a/#` finds `a` too, MQTT 4.7.1), and a wildcard in the first level finds no
 * topic that starts with `$` (MQTT 4.7.2). A lookup walks the levels of the topic once and touches
 * only the branches that can match, so its cost does not grow with the number of other filters.
 *
 * The trie does not check filters; callers do, with `checkTopicFilter` of `@eventmesh/event`.
 */
export class TopicTrie<T> {
  readonly #root: Node<T> = newNode();
  #size = 0;

  /** How many (filter, value) pairs there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds a value under a filter. Returns false when that very pair is there already. */
  add(filter: string, value: T): boolean {
    let node = this.#root;
    for (let from = 0; ;) {
      const end = levelEnd(filter, from);
      const level = filter.slice(from, end);
      // `#` is the last level: its values wait at the parent, which is where matching ends.
      if (level === '#') break;
      node = childOf(node, level) ?? addChild(node, level);
      if (end === filter.length) return this.#count(addTo(node, 'here', value));
      from = end + 1;
    }
    return this.#count(addTo(node, 'below', value));
  }

  /** Removes a value from a filter, and the branch when nothing is left on it. */
  remove(filter: string, value: T): boolean {
    if (!removeFrom(this.#root, filter, 0, value)) return false;
    this.#size--;
    return true;
  }

  clear(): void {
    this.#root.children.clear();
    this.#root.plus = undefined;
    this.#root.here = undefined;
    this.#root.below = undefined;
    this.#size = 0;
  }

  /**
   * Adds each value whose filter matches the topic to `found`, once however many of its filters
   * match, and returns `found`. Pass a set of your own to use it again and allocate nothing.
   */
  match(topic: string, found: Set<T> = new Set()): Set<T> {
    walk(this.#root, topic, 0, topic.startsWith('$'), found);
    return found;
  }

  /** Whether any filter matches the topic. Stops at the first. */
  matchesAny(topic: string): boolean {
    return any(this.#root, topic, 0, topic.startsWith('$'));
  }

  #count(added: boolean): boolean {
    if (added) this.#size++;
    return added;
  }
}

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  plus: Node<T> | undefined;
  /** Values of the filter that ends at this level. */
  here: Set<T> | undefined;
  /** Values of the filter that goes on with `#` alone. */
  below: Set<T> | undefined;
}

const newNode = <T>(): Node<T> => ({
  children: new Map(),
  plus: undefined,
  here: undefined,
  below: undefined,
});

function levelEnd(text: string, from: number): number {
  const end = text.indexOf('/', from);
  return end === -1 ? text.length : end;
}

function childOf<T>(node: Node<T>, level: string): Node<T> | undefined {
  return level === '+' ? node.plus : node.children.get(level);
}

function addChild<T>(node: Node<T>, level: string): Node<T> {
  const child = newNode<T>();
  if (level === '+') node.plus = child;
  else node.children.set(level, child);
  return child;
}

function addTo<T>(node: Node<T>, place: 'here' | 'below', value: T): boolean {
  const values = (node[place] ??= new Set());
  const before = values.size;
  return values.add(value).size > before;
}

function removeFrom<T>(node: Node<T>, filter: string, from: number, value: T): boolean {
  const end = levelEnd(filter, from);
  const level = filter.slice(from, end);
  if (level === '#') return deleteFrom(node, 'below', value);
  const child = childOf(node, level);
  if (child === undefined) return false;
  const removed =
    end === filter.length
      ? deleteFrom(child, 'here', value)
      : removeFrom(child, filter, end + 1, value);
  if (removed && isEmpty(child)) {
    if (level === '+') node.plus = undefined;
    else node.children.delete(level);
  }
  return removed;
}

function deleteFrom<T>(node: Node<T>, place: 'here' | 'below', value: T): boolean {
  const removed = node[place]?.delete(value) ?? false;
  if (removed && node[place]?.size === 0) node[place] = undefined;
  return removed;
}

function isEmpty<T>(node: Node<T>): boolean {
  return (
    node.here === undefined &&
    node.below === undefined &&
    node.plus === undefined &&
    node.children.size === 0
  );
}

/** `guarded`: the topic starts with `$` and this is its first level, where no wildcard matches. */
function walk<T>(
  node: Node<T>,
  topic: string,
  from: number,
  guarded: boolean,
  found: Set<T>,
): void {
  if (node.below !== undefined && !guarded) addAll(node.below, found);
  if (from > topic.length) {
    if (node.here !== undefined) addAll(node.here, found);
    return;
  }
  const end = levelEnd(topic, from);
  if (node.children.size > 0) {
    const child = node.children.get(topic.slice(from, end));
    if (child !== undefined) walk(child, topic, end + 1, false, found);
  }
  if (node.plus !== undefined && !guarded) walk(node.plus, topic, end + 1, false, found);
}

function addAll<T>(values: Set<T>, found: Set<T>): void {
  for (const value of values) found.add(value);
}

function any<T>(node: Node<T>, topic: string, from: number, guarded: boolean): boolean {
  if (node.below !== undefined && !guarded) return true;
  if (from > topic.length) return node.here !== undefined;
  const end = levelEnd(topic, from);
  if (node.children.size > 0) {
    const child = node.children.get(topic.slice(from, end));
    if (child !== undefined && any(child, topic, end + 1, false)) return true;
  }
  return node.plus !== undefined && !guarded && any(node.plus, topic, end + 1, false);
}
