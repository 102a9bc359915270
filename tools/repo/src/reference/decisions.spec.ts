import { describe, expect, it } from '@jest/globals';
import { decisionLines, readDecision, type Decision } from './decisions.ts';

const decision = (number: number, status = 'accepted'): Decision => ({
  file: `000${number}-a.md`,
  number,
  title: 'A',
  status,
});

describe('the index of decisions', () => {
  it('has a line for each number, with the title, and with the status where it says more', () => {
    const both = [decision(3, 'accepted; extends [1](0001-a.md)'), decision(1)];
    expect(decisionLines(both, [2])).toEqual([
      '- [1](0001-a.md): A',
      '- 2: was not used',
      '- [3](0003-a.md): A (accepted; extends [1](0001-a.md))',
    ]);
  });

  it.each([
    ['is missing', [1, 3], []],
    ['is there twice', [1, 1], []],
    ['is there and called unused', [1, 2], [2]],
  ])('is refused when a number %s', (_, numbers, unused) => {
    expect(() =>
      decisionLines(
        numbers.map((number) => decision(number)),
        unused,
      ),
    ).toThrow('docs/adr: ');
  });

  it('takes number, title and status from the page', () => {
    const read = readDecision('0007-a.md', '# 7. A title\n\nStatus: accepted\n\nText\n');
    expect(read).toEqual({ file: '0007-a.md', number: 7, title: 'A title', status: 'accepted' });
  });

  it.each(['# 8. A title\n\nStatus: accepted\n', '# 7. A title\n\nText\n', 'Text\n'])(
    'names a page that does not begin so: %j',
    (text) => {
      expect(() => readDecision('0007-a.md', text)).toThrow('docs/adr/0007-a.md: begins with');
    },
  );
});
