import type { Payload } from './payloads.ts';
import type { DemoSubscription } from './subscriptions.ts';

/**
 * Who must get what, worked out without any code of the mesh: topic filters as regular expressions,
 * filters over plain strings. Slow and simple on purpose, to be a second opinion.
 */
export function wants(subscription: DemoSubscription, payload: Payload): boolean {
  const topic = subscription.topicFilters.some((filter) => expression(filter).test(payload.topic));
  const attributes = new Map([
    ['id', payload.id],
    ['source', payload.source],
    ['type', payload.type],
    ['partitionkey', payload.key],
  ]);
  return topic && subscription.filters.every((filter) => holds(filter, attributes));
}

function expression(topicFilter: string): RegExp {
  const levels = topicFilter.split('/').map((level) => {
    if (level === '+') return '[^/]*';
    if (level === '#') return '.*';
    return level.replace(/[^\w-]/g, '\\$&');
  });
  // `a/#` is `a` and all below it (MQTT 4.7.1.2).
  return new RegExp(`^${levels.join('/').replace(/\/\.\*$/, '(/.*)?')}$`);
}

function holds(filter: object, attributes: ReadonlyMap<string, string>): boolean {
  const [[dialect, operand] = ['', undefined]] = Object.entries(filter) as [string, unknown][];
  const each = (test: (value: string, wanted: string) => boolean): boolean =>
    Object.entries(operand as Record<string, string>).every(([name, wanted]) => {
      const value = attributes.get(name);
      return value !== undefined && test(value, wanted);
    });
  switch (dialect) {
    case 'exact':
      return each((value, wanted) => value === wanted);
    case 'prefix':
      return each((value, wanted) => value.slice(0, wanted.length) === wanted);
    case 'suffix':
      return each((value, wanted) => wanted === '' || value.slice(-wanted.length) === wanted);
    case 'all':
      return (operand as object[]).every((inner) => holds(inner, attributes));
    case 'any':
      return (operand as object[]).some((inner) => holds(inner, attributes));
    case 'not':
      return !holds(operand as object, attributes);
    default:
      throw new Error(`the oracle does not know the dialect "${dialect}"`);
  }
}
