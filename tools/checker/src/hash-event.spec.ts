import { describe, expect, it } from '@jest/globals';
import { encodeEvent, type AttributeValue } from '@eventmesh/event';
import { hashEvent } from './hash-event.ts';

const text = (value: string): AttributeValue => ({ kind: 'string', value });
const event = (attributes: readonly (readonly [string, AttributeValue])[], data = 'data') =>
  encodeEvent({
    id: '1',
    source: '/s',
    type: 't',
    attributes,
    data: { kind: 'binary', bytes: Buffer.from(data) },
  });

describe('hashEvent', () => {
  it('is blind to the order of attributes and to traceparent', () => {
    const a = event([
      ['subject', text('s')],
      ['partitionkey', text('k')],
    ]);
    const b = event([
      ['traceparent', text('00-…')],
      ['partitionkey', text('k')],
      ['subject', text('s')],
    ]);
    expect(hashEvent(a)).toBe(hashEvent(b));
  });

  it('sees one changed byte of the data and any changed attribute', () => {
    const hashes = [
      event([]),
      event([], 'datA'),
      event([['subject', text('s')]]),
      event([['subject', text('S')]]),
    ].map((encoded) => hashEvent(encoded));
    expect(new Set(hashes).size).toBe(4);
  });
});
