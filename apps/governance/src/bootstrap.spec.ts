import { describe, expect, it } from '@jest/globals';
import { checkBootstrap } from './bootstrap.ts';

describe('checkBootstrap', () => {
  it('finds nothing wrong with an empty file', () => {
    expect(checkBootstrap('')).toEqual([]);
  });

  it('lists every problem of the form at once', () => {
    const problems = checkBootstrap(`
topics:
  - { retention: soon, deliveryClass: sometimes }
eventType: []
quotas:
  - { eventsPerSecond: -1 }
deadLetters:
  - { bytesMax: much, alarmPercent: 0 }
`).join('\n');
    expect(problems).toMatch(/topics\[0\]: missing key "filter"/);
    expect(problems).toMatch(/topics\[0\]\.retention/);
    expect(problems).toMatch(/topics\[0\]\.deliveryClass: must be one of durable, direct/);
    expect(problems).toMatch(/unknown key "eventType"/);
    expect(problems).toMatch(/quotas\[0\]\.eventsPerSecond/);
    expect(problems).toMatch(/deadLetters\[0\]\.bytesMax/);
    expect(problems).toMatch(/deadLetters\[0\]\.alarmPercent/);
  });

  it('lists every problem of the meaning at once', () => {
    const problems = checkBootstrap(`
topics:
  - { filter: 'a/#/b' }
  - { filter: a }
  - { filter: a }
eventTypes:
  - { type: x, schema: '{"$ref":"http://x"}' }
  - { type: y, schemaFile: no-such-file.json }
  - { type: z, schema: '{}', schemaFile: z.json }
deadLetters:
  - { retention: 90d }
  - { bytesMax: 1GiB }
`);
    expect(problems).toHaveLength(6);
    expect(problems.join('\n')).toMatch(/deadLetters\[1\]: is there twice/);
    expect(problems.join('\n')).toMatch(/topics\[2\]: is there twice/);
    expect(problems.join('\n')).toMatch(/no-such-file\.json/);
    expect(problems.join('\n')).toMatch(/not both/);
  });

  it.each(['{', 'topics: 5', '[]'])('tells that %s is no bootstrap', (source) => {
    expect(checkBootstrap(source)).not.toEqual([]);
  });
});
