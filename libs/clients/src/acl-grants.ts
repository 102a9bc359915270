import type { MessageInitShape } from '@bufbuild/protobuf';
import { Action, type GrantSchema } from '@eventmesh/proto-gen/acl';

export { Action };

type GrantInit = MessageInitShape<typeof GrantSchema>;

/** Decisions kept per compiled set and action; beyond it the memory is emptied and starts anew. */
const DECISIONS_MAX = 4096;

/** Grants compiled for the hot path; a decision costs O(levels), a repeated one a map look-up. */
export interface CompiledGrants {
  /**
   * Whether some allow and no deny covers the resource: a topic, a topic filter (covered means that
   * every topic it can match is) or, for admin and inspect, a resource name. Publishing needs a
   * topic without wildcards. What starts with `$` is reserved and never allowed.
   */
  allows(action: Action, resource: string): boolean;
}

/** Compiles grants. Deny overrides; what nothing allows is denied. */
export function compileGrants(grants: readonly GrantInit[]): CompiledGrants {
  const byAction = new Map<Action, Decider>();
  for (const { action, topicFilter, deny } of grants) {
    if (action === undefined || topicFilter === undefined) continue;
    let decider = byAction.get(action);
    if (decider === undefined) byAction.set(action, (decider = new Decider()));
    (deny === true ? decider.denies : decider.allows).add(topicFilter);
  }
  return {
    allows(action, resource) {
      if (resource === '' || resource.startsWith('$')) return false;
      if (action === Action.PUBLISH && hasWildcard(resource)) return false;
      return byAction.get(action)?.decide(resource) ?? false;
    },
  };
}

/** The grants of somebody who may do nothing. */
export const NO_GRANTS: CompiledGrants = compileGrants([]);

const hasWildcard = (resource: string): boolean => resource.includes('+') || resource.includes('#');

class Decider {
  readonly allows = new FilterTrie();
  readonly denies = new FilterTrie();
  readonly #decided = new Map<string, boolean>();

  decide(resource: string): boolean {
    const known = this.#decided.get(resource);
    if (known !== undefined) return known;
    const levels = resource.split('/');
    const allowed = this.allows.covers(levels) && !this.denies.covers(levels);
    if (this.#decided.size >= DECISIONS_MAX) this.#decided.clear();
    this.#decided.set(resource, allowed);
    return allowed;
  }
}

interface TrieNode {
  readonly children: Map<string, TrieNode>;
  plus: TrieNode | undefined;
  /** A filter ends here with `#`. */
  hash: boolean;
  /** A filter ends here. */
  end: boolean;
}

const node = (): TrieNode => ({ children: new Map(), plus: undefined, hash: false, end: false });

/** Answers like `filterCovers` of any of its filters, without going through them one by one. */
class FilterTrie {
  readonly #root = node();

  add(filter: string): void {
    let at = this.#root;
    // Every topic has a first level, so `+/#` is as wide as `#`.
    for (const level of (filter === '+/#' ? '#' : filter).split('/')) {
      if (level === '#') {
        at.hash = true;
        return;
      }
      if (level === '+') {
        at = at.plus ??= node();
        continue;
      }
      let next = at.children.get(level);
      if (next === undefined) at.children.set(level, (next = node()));
      at = next;
    }
    at.end = true;
  }

  covers(levels: readonly string[]): boolean {
    return coversFrom(this.#root, levels, 0);
  }
}

function coversFrom(at: TrieNode, levels: readonly string[], index: number): boolean {
  // `a/#` covers `a` too (MQTT 4.7.1.2), so this comes before the end of the levels.
  if (at.hash) return true;
  const level = levels[index];
  if (level === undefined) return at.end;
  // Only a `#` covers a `#`.
  if (level === '#') return false;
  if (at.plus !== undefined && coversFrom(at.plus, levels, index + 1)) return true;
  if (level === '+') return false;
  const child = at.children.get(level);
  return child !== undefined && coversFrom(child, levels, index + 1);
}
