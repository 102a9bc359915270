import { describe, expect, it } from '@jest/globals';
import { scenarios } from './test/scenario-files.ts';
import { transcript } from './test/scenario.ts';

describe('a scenario in libs/delivery/scenarios', () => {
  it.each([...scenarios()])('%s goes as its transcript says', (_, text) => {
    expect(transcript(text)).toBe(text);
  });
});
