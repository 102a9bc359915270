import { describe, expect, it } from '@jest/globals';
import { printFields, printRows, printable, tableText, toJson, type Output } from './output.ts';

function collect(json: boolean): Output & { text: string } {
  return {
    json,
    terminal: false,
    text: '',
    write(text) {
      this.text += text;
    },
    note: () => undefined,
  };
}

const rows = [
  { name: 'west', events: 7 },
  { name: 'a-long-name', events: 12_345 },
];
const columns = {
  NAME: ({ name }: (typeof rows)[number]) => name,
  EVENTS: ({ events }: (typeof rows)[number]) => events,
};

describe('tables', () => {
  it('align numbers to the right and leave no blanks at the end', () => {
    expect(tableText(rows, columns)).toBe(
      ['NAME         EVENTS', 'west              7', 'a-long-name   12345'].join('\n'),
    );
  });

  it('show what is missing as a dash', () => {
    expect(tableText([{}], { X: () => undefined })).toBe('X\n-');
  });

  it('say so when there are no rows', () => {
    const output = collect(false);
    printRows(output, [], columns, 'nobody here');
    expect(output.text).toBe('nobody here\n');
  });

  it('are one JSON array of the whole rows for scripts', () => {
    const output = collect(true);
    printRows(output, rows, { NAME: ({ name }) => name });
    expect(JSON.parse(output.text)).toEqual(rows);
  });
});

describe('printing', () => {
  it('makes control characters of foreign text harmless', () => {
    expect(printable('a\u001b[2Jb\u0007\nc\u009b')).toBe('a\\x1b[2Jb\\x07\nc\\x9b');
  });

  it('writes big integers as numbers where that is exact, else as strings', () => {
    expect(toJson({ a: 5n, b: 2n ** 63n })).toBe('{"a":5,"b":"9223372036854775808"}');
  });

  it('lists fields one a line without those that are not set', () => {
    const output = collect(false);
    printFields(output, { id: 'x', none: undefined, list: [1] });
    expect(output.text).toBe('id    x\nlist  [1]\n');
  });
});
