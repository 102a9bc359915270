import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { knownText } from './texts.ts';

describe('texts that come again and again', () => {
  it('are the text of their bytes, whatever came before', () => {
    const texts = fc.array(
      fc.oneof(fc.string({ maxLength: 70 }), fc.constantFrom('a', 'b', 'topic/a')),
      {
        maxLength: 200,
      },
    );
    fc.assert(
      fc.property(texts, fc.nat(3), (given, before) => {
        for (const text of given) {
          const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(text), Buffer.from('x')]);
          const found = knownText(bytes, before, bytes.length - 1);
          expect(found).toBe(text.length > 64 ? undefined : text);
        }
      }),
    );
  });

  it('are left to others when they are not ASCII', () => {
    const bytes = Buffer.from('größe');
    expect(knownText(bytes, 0, bytes.length)).toBeUndefined();
    expect(knownText(bytes, 0, 2)).toBe('gr');
    expect(knownText(bytes, 2, 2)).toBe('');
  });
});
