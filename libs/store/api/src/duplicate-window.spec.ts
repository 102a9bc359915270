import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DuplicateWindow } from './index.ts';

describe('the duplicate window', () => {
  it('remembers exactly the last keys, as a plain list does', () => {
    const keys = fc.array(fc.integer({ min: 0, max: 30 }).map(String), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 }), keys, (size, all) => {
        const window = new DuplicateWindow(size);
        const list: { key: string; position: number }[] = [];
        for (const [position, key] of all.entries()) {
          const known = list.find((entry) => entry.key === key);
          expect(window.find(key)).toBe(known?.position);
          if (known !== undefined) continue;
          window.add(key, position);
          list.push({ key, position });
          if (list.length > size) list.shift();
          expect(window.count).toBe(list.length);
        }
      }),
    );
  });

  it.each([1, 1500, 5000])('holds %i keys through growth and many rounds of forgetting', (size) => {
    const window = new DuplicateWindow(size);
    const keys = 20_000;
    for (let position = 0; position < keys; position++) {
      window.add(`/source\0${position}`, position);
      const oldest = Math.max(0, position - size + 1);
      expect(window.find(`/source\0${oldest}`)).toBe(oldest);
      if (oldest > 0) expect(window.find(`/source\0${oldest - 1}`)).toBeUndefined();
    }
    expect(window.count).toBe(size);
    for (let position = keys - size; position < keys; position++) {
      expect(window.find(`/source\0${position}`)).toBe(position);
    }
  });
});
