import { describe, expect, it } from '@jest/globals';
import { topicMatches } from '@eventmesh/event';
import fc from 'fast-check';
import { filterSubjects } from './subjects.ts';
import { subjectOf, topicOf } from './test/topic-subject.ts';

const level = fc.oneof(
  fc.constantFrom('', 'a', 'b', '*', '>', '.', '%', '%2E', ' ', 'a.b', 'é', '日本', '$x'),
  fc.string({ maxLength: 6, unit: 'grapheme' }).map((text) => text.replace(/[/+#]/g, '-')),
);
const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(fc.oneof(fc.constant('+'), level), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest ? ['#'] : [])].join('/'));

/** How nats-server matches. */
function subjectMatches(pattern: string, subject: string): boolean {
  const want = pattern.split('.');
  const have = subject.split('.');
  for (const [index, token] of want.entries()) {
    if (token === '>') return have.length > index;
    if (index >= have.length || (token !== '*' && token !== have[index])) return false;
  }
  return want.length === have.length;
}

describe('subjects', () => {
  it.each([
    ['orders/eu/42', 'orders.eu.42'],
    ['a.b/c d', 'a%2Eb.c%20d'],
    ['/a//b/', '%.a.%.b.%'],
    ['100%/*/>', '100%25.%2A.%3E'],
    ['größe/日本', 'größe.日本'],
  ])('of the topic %s are %s, and back', (from, to) => {
    expect(subjectOf(from)).toBe(to);
    expect(topicOf(to)).toBe(from);
  });

  it('map every topic reversibly to legal tokens', () => {
    fc.assert(
      fc.property(topic, (from) => {
        const subject = subjectOf(from);
        expect(topicOf(subject)).toBe(from);
        for (const token of subject.split('.')) {
          expect(token).not.toBe('');
          expect(token).not.toMatch(/[ *>\u0000-\u001f]/);
        }
      }),
    );
  });

  it('of filters select every topic that a filter matches, and never overlap', () => {
    fc.assert(
      fc.property(fc.array(filter, { minLength: 1, maxLength: 4 }), topic, (filters, name) => {
        const patterns = filterSubjects('base', filters);
        if (patterns.length === 0) return; // Everything is read.
        const subject = `base.tenant.${subjectOf(name)}`;
        const hits = patterns.filter((pattern) => subjectMatches(pattern, subject)).length;
        expect(hits).toBeLessThanOrEqual(1);
        if (filters.some((one) => topicMatches(one, name))) expect(hits).toBe(1);
      }),
    );
  });
});
