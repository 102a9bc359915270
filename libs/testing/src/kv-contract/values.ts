import { describe, expect, it } from '@jest/globals';
import { KV_KEY_BYTES_MAX, KV_PAGE_MAX, KV_VALUE_BYTES_MAX } from '@eventmesh/kv-api';
import { bytes, expectCode, put, text, type Suite } from './suite.ts';

export function describeValues(suite: Suite): void {
  describe('values', () => {
    it('answers undefined for a key that does not exist', async () => {
      expect(await suite.kv.get(`${suite.space()}absent`)).toBeUndefined();
    });

    it('keeps value, createRevision and a rising modRevision; a delete starts a new life', async () => {
      const key = `${suite.space()}k`;
      const first = await put(suite.kv, key, 'one');
      const second = await put(suite.kv, key, 'two');
      expect(second).toBeGreaterThan(first);
      const entry = await suite.kv.get(key);
      expect(entry).toMatchObject({ key, createRevision: first, modRevision: second });
      expect(text(entry?.value)).toBe('two');
      expect(entry).not.toHaveProperty('lease');
      const gone = await suite.kv.delete(key);
      expect(gone).toEqual({ applied: true, revision: expect.any(Number) });
      expect(await suite.kv.get(key)).toBeUndefined();
      const third = await put(suite.kv, key, 'three');
      expect(await suite.kv.get(key)).toMatchObject({ createRevision: third, modRevision: third });
    });

    it('keeps every byte, no bytes at all, and the largest value', async () => {
      const key = `${suite.space()}k`;
      const all = Uint8Array.from({ length: 256 }, (_, i) => i);
      for (const value of [all, new Uint8Array(), new Uint8Array(KV_VALUE_BYTES_MAX).fill(7)]) {
        await suite.kv.put(key, value);
        const read = (await suite.kv.get(key))?.value ?? bytes('nothing');
        expect(Buffer.compare(read, value)).toBe(0);
      }
    });

    it('hands out bytes that belong to the caller', async () => {
      const key = `${suite.space()}k`;
      await put(suite.kv, key, 'kept');
      (await suite.kv.get(key))?.value.fill(0);
      expect(text((await suite.kv.get(key))?.value)).toBe('kept');
    });

    it('is read by another handle as soon as it is acknowledged', async () => {
      const key = `${suite.space()}k`;
      await put(suite.kv, key, 'seen');
      expect(text((await suite.under.other.get(key))?.value)).toBe('seen');
    });

    it.each([
      ['an empty key', '', 'InvalidArgument'],
      ['a control character', 'a\0b', 'InvalidArgument'],
      ['a lone surrogate', 'a\ud800', 'InvalidArgument'],
      ['a key too long', 'é'.repeat(KV_KEY_BYTES_MAX / 2 + 1), 'InvalidArgument'],
    ] as const)('refuses %s and names the field', async (_, key, code) => {
      const error = await expectCode(suite.kv.put(key, bytes('x')), code);
      expect(error.details.field).toBe('key');
      await expectCode(suite.kv.get(key), code);
      await expectCode(suite.kv.delete(key), code);
    });

    it('takes the longest key and refuses a value too large', async () => {
      const key = suite.space().padEnd(suite.under.keyBytesMax ?? KV_KEY_BYTES_MAX, 'k');
      await put(suite.kv, key, 'x');
      expect(text((await suite.kv.get(key))?.value)).toBe('x');
      const large = new Uint8Array(KV_VALUE_BYTES_MAX + 1);
      const error = await expectCode(suite.kv.put(key, large), 'PayloadTooLarge');
      expect(error.details).toMatchObject({ field: 'value', limit: `${KV_VALUE_BYTES_MAX} bytes` });
    });
  });

  describe('range', () => {
    it('answers exactly the keys under the prefix, ordered by their UTF-8 bytes', async () => {
      const space = suite.space();
      // U+FF5E sorts above U+1F600 by UTF-16 units and below it by UTF-8 bytes.
      const inside = ['a', 'a/1', 'a/2', 'a/é', 'a/～', 'a/😀', 'ab'].map((k) => space + k);
      for (const key of [...inside].reverse()) await put(suite.kv, key, key);
      await put(suite.kv, `${space}b`, 'outside');
      const keys = async (prefix: string) =>
        (await suite.kv.range(prefix)).entries.map(({ key }) => key);
      expect(await keys(`${space}a`)).toEqual(inside);
      expect(await keys(`${space}a/`)).toEqual(inside.slice(1, 6));
      expect(await keys(`${space}c`)).toEqual([]);
    });

    it('pages through all keys with `after`, each once, and tells the revision', async () => {
      const space = suite.space();
      const keys = Array.from({ length: 25 }, (_, i) => `${space}${String(i).padStart(2, '0')}`);
      for (const key of keys) await put(suite.kv, key, 'x');
      const revision = await suite.revision();
      const seen: string[] = [];
      const sizes: number[] = [];
      let after: string | undefined;
      do {
        const options = after === undefined ? { limit: 10 } : { limit: 10, after };
        const page = await suite.kv.range(space, options);
        expect(page.revision).toBe(revision);
        seen.push(...page.entries.map(({ key }) => key));
        sizes.push(page.entries.length);
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(keys);
      expect(sizes).toEqual([10, 10, 5]);
    });

    it('has no next page when the last page is exactly full', async () => {
      const space = suite.space();
      await put(suite.kv, `${space}a`, 'x');
      await put(suite.kv, `${space}b`, 'x');
      expect(await suite.kv.range(space, { limit: 2 })).not.toHaveProperty('next');
    });

    it.each([0, -1, 1.5, KV_PAGE_MAX + 1])('refuses a limit of %s', async (limit) => {
      const error = await expectCode(suite.kv.range('x', { limit }), 'InvalidArgument');
      expect(error.details.field).toBe('limit');
    });
  });

  it('answers a ping', async () => {
    await suite.kv.ping();
  });
}
