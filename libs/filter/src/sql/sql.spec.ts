import { describe, expect, it } from '@jest/globals';
import { EventView, encodeEvent, parseTimestamp } from '@eventmesh/event';
import { SqlExpression } from './sql.ts';
import { SqlSyntaxError } from './syntax-error.ts';

const event = new EventView(
  encodeEvent({
    id: 'order-7',
    source: 'https://shop.example/west',
    type: 'com.example.order.created',
    attributes: [
      ['region', { kind: 'string', value: 'eu' }],
      ['priority', { kind: 'integer', value: 7 }],
      ['count', { kind: 'string', value: '12' }],
      ['vip', { kind: 'boolean', value: true }],
      ['yes', { kind: 'string', value: 'TrUe' }],
      ['smile', { kind: 'string', value: 'a😀b' }],
      ['blob', { kind: 'bytes', value: Buffer.from('hi') }],
      ['link', { kind: 'uri-reference', value: '/a/b' }],
      ['time', parseTimestamp('2024-05-01T14:00:00+02:00', 'time')],
      ['least', { kind: 'integer', value: -2147483648 }],
      ['long', { kind: 'string', value: 'x'.repeat(16_385) }],
      ['7up', { kind: 'string', value: 'fizz' }],
    ],
  }),
);

type Value = string | number | boolean;
type Case = [expression: string, value: Value, error?: string];

const check = ([text, value, error]: Case): void => {
  const got = new SqlExpression(text).evaluate(event);
  expect({ value: got.value, error: got.error?.kind }).toEqual({ value, error });
};

describe('literals and attributes', () => {
  it.each<Case>([
    ['0012', 12],
    ['+5', 5],
    ['-2147483648', -2147483648],
    ['2147483647', 2147483647],
    [`'it\\'s "so"'`, `it's "so"`],
    [`"say \\"it\\""`, 'say "it"'],
    [`'a\\nb'`, 'a\\nb'],
    [`'end\\\\'`, 'end\\\\'],
    ["''", ''],
    ['\t\r\n TRUE \n', true],
    ['priority', 7],
    ['PRIORITY', 7],
    ['vip', true],
    ['link', '/a/b'],
    ['blob', 'aGk='],
    ['time', '2024-05-01T12:00:00Z'],
    ['specversion', '1.0'],
    ['7up', 'fizz'],
    ['-priority', -7],
    ['nowhere', false, 'missingAttribute'],
    ['long', false, 'generic'],
  ])('%j is %j %s', (...row) => check(row));
});

describe('operators', () => {
  it.each<Case>([
    // Precedence: unary, LIKE and IN, times, plus, comparison, logic; equal ones from the left.
    ['2 + 3 * 4', 14],
    ['2 - 3 - 4', -5],
    ['100 / 10 / 5', 2],
    ['4-1', 3],
    ['4 - -1', 5],
    ['1 + 1 = 2', true],
    ['3 > 2 = TRUE', true],
    ["NOT region = 'eu'", false, 'cast'],
    ["NOT (region = 'eu')", false],
    ["NOT yes LIKE 'f%'", true],
    ['NOT vip AND FALSE', false],
    ['TRUE OR TRUE AND FALSE', false],
    ['FALSE AND TRUE OR TRUE', true],
    ['TRUE XOR TRUE OR TRUE', true],
    ["'1' + 1 LIKE '2'", 1],
    ["-1 IN (-1, 'x')", true],
    ["-priority LIKE '-%'", true],
    // Arithmetic of 32 bits.
    ['-7 / 2', -3],
    ['-7 % 2', -1],
    ['7 % -2', 1],
    ['0 * -5', 0],
    ['-0', 0],
    ['2147483647 + 1', 0, 'math'],
    ['-2147483648 - 1', 0, 'math'],
    ['65536 * 65536', 0, 'math'],
    ['2147483647 * 2147483647', 0, 'math'],
    ['least / -1', 0, 'math'],
    ['least % -1', 0],
    ['-least', 0, 'math'],
    ['-(-2147483648)', 0, 'math'],
    ['1 / 0', 0, 'math'],
    ['1 % (2 - 2)', 0, 'math'],
    ['1 / (1 / 0)', 0, 'math'],
    ['count * 2', 24],
    ["vip + '+1'", 2],
    ['region + 1', 0, 'cast'],
    ["'' + 1", 0, 'cast'],
    ["' 1' + 1", 0, 'cast'],
    ["'1.0' + 1", 0, 'cast'],
    ["'2147483648' + 0", 0, 'cast'],
    ["'-2147483648' + 0", -2147483648],
    ["'00000000000000000005' + 0", 5],
    // Comparison: the right side's type decides.
    ["priority = '7'", true],
    ["priority = '07'", false],
    ["'07' = priority", true],
    ['count = 12', true],
    ['12 = count', true],
    ["'x' = priority", false, 'cast'],
    ['region = 1', false, 'cast'],
    ['5 = TRUE', true],
    ['0 = FALSE', true],
    ["'yes' = TRUE", false, 'cast'],
    ['yes = TRUE', true],
    ['yes = vip', true],
    ["region <> 'EU'", true],
    ["region != 'eu'", false],
    ["nowhere != 'eu'", false, 'missingAttribute'],
    ["'eu' != nowhere", false, 'missingAttribute'],
    ["'9' < '10'", true],
    ['count >= priority', true],
    ['region < 3', false, 'cast'],
    ['vip <= 1', true],
    // Logic: stops as soon as it is settled, and at the first error.
    ['FALSE AND nowhere', false],
    ['nowhere AND FALSE', false, 'missingAttribute'],
    ['TRUE OR nowhere', true],
    ['nowhere OR TRUE', false, 'missingAttribute'],
    ['FALSE OR nowhere', false, 'missingAttribute'],
    ['FALSE OR FALSE OR FALSE OR vip', true],
    ['vip AND vip AND vip AND FALSE', false],
    ['vip AND yes AND TRUE', true],
    ["TRUE AND 'x'", false, 'cast'],
    ["TRUE AND 'true'", true],
    ['1 AND 2', true],
    ['TRUE XOR 0', true],
    ["TRUE XOR 'x'", false, 'cast'],
    ['nowhere XOR TRUE', false, 'missingAttribute'],
    ['NOT priority', true, 'cast'],
    ['NOT region', true, 'cast'],
    ['NOT NOT vip', true],
    ['NOT (1 = 1 / 0)', false, 'math'],
    // LIKE
    ["region LIKE 'e_'", true],
    ["region NOT LIKE 'e_'", false],
    ["nowhere NOT LIKE '%'", false, 'missingAttribute'],
    ["vip LIKE 't%e'", true],
    ["smile LIKE 'a_b'", true],
    ["smile LIKE 'a__b'", false],
    ["smile LIKE '%😀%'", true],
    ["'a%' LIKE 'a\\%'", true],
    ["'ab' LIKE 'a\\%'", false],
    ["'a\\b' LIKE 'a\\b'", true],
    ["'' LIKE '%'", true],
    ["'' LIKE ''", true],
    ["'' LIKE '_'", false],
    ["'aXbXc' LIKE '%X%X%'", true],
    ["'aXb' LIKE '%X%X%'", false],
    ["'aba' LIKE 'ab%ba'", false],
    ["'aba' LIKE 'ab%b%'", false],
    ["'xab' LIKE '%b%ab'", false],
    ["'abbab' LIKE 'ab%b%ab'", true],
    ["'ABC' LIKE 'abc'", false],
    // EXISTS
    ['EXISTS region', true],
    ['EXISTS nowhere', false],
    ['NOT EXISTS nowhere', true],
    ['EXISTS id AND EXISTS source AND EXISTS type AND EXISTS specversion', true],
    // IN: the left side's type decides.
    ["region IN ('us', 'eu')", true],
    ["region NOT IN ('us', 'eu')", false],
    ["region IN ('us', CONCAT('e', 'u'))", true],
    ['priority IN (1, 7)', true],
    ["priority IN ('7')", true],
    ["priority IN (7, 'x')", true],
    ["priority IN ('x', 7)", false, 'cast'],
    ["region IN (1, 'eu')", true],
    ["vip IN ('TRUE')", true],
    ["vip IN ('x')", false, 'cast'],
    ["region IN ('a','b','c','d','e','f','g','h','eu')", true],
    ['nowhere IN (1)', false, 'missingAttribute'],
    ["region IN (nowhere, 'eu')", false, 'missingAttribute'],
    ['region NOT IN (1 / 0)', false, 'math'],
  ])('%j is %j %s', (...row) => check(row));
});

describe('functions', () => {
  it.each<Case>([
    ['LENGTH(smile)', 3],
    ['length(priority)', 1],
    ["CONCAT(region, '-', priority, vip)", 'eu-7true'],
    ["CONCAT_WS('/', 1, TRUE, 'x')", '1/true/x'],
    ["LOWER('ÄB')", 'äb'],
    ["UPPER('straße')", 'STRASSE'],
    ["TRIM('\u2003\u0085 a b\u3000')", 'a b'],
    ["TRIM('\ufeffa\u0000')", '\ufeffa\u0000'],
    ['LEFT(smile, 2)', 'a😀'],
    ['RIGHT(smile, 2)', '😀b'],
    ["LEFT('abc', 0)", ''],
    ["LEFT('abc', nowhere)", '', 'missingAttribute'],
    ["RIGHT('abc', -1)", 'abc', 'functionEvaluation'],
    ['SUBSTRING(smile, 2, 1)', '😀'],
    ['SUBSTRING(smile, -2)', '😀b'],
    ["SUBSTRING('abc', 3, 9)", 'c'],
    ["SUBSTRING('abc', 4)", '', 'functionEvaluation'],
    ["SUBSTRING('abc', 2, -1)", '', 'functionEvaluation'],
    ["SUBSTRING('', 0)", ''],
    ["ABS('-3')", 3],
    ['ABS(least)', 2147483647, 'math'],
    ['ABS(least) = 2147483647', false, 'math'],
    ["INT('+07')", 7],
    ["INT('0x10')", 0, 'cast'],
    ['INT(region) + 1', 0, 'cast'],
    ["BOOL('tRUE')", true],
    ["BOOL('1')", false, 'cast'],
    ['STRING(007)', '7'],
    ['CONCAT(NOWHERE)', '', 'missingAttribute'],
    ["LEFT('abc')", false, 'missingFunction'],
    ['NO_SUCH(1, 2)', false, 'missingFunction'],
    [`LENGTH(CONCAT(${Array(5).fill('LEFT(type, 25)').join(',')}))`, 125],
  ])('%j is %j %s', (...row) => check(row));

  it('makes no string beyond the limit', () => {
    const big = new EventView(
      encodeEvent({
        id: 'x'.repeat(16_384),
        source: 's',
        type: 'ß'.repeat(16_384),
        attributes: [['region', { kind: 'string', value: 'eu' }]],
      }),
    );
    expect(new SqlExpression('LENGTH(id)').evaluate(big).value).toBe(16_384);
    for (const text of ["CONCAT(id, 'x')", 'CONCAT_WS(id, 1, 2)', 'UPPER(type)']) {
      expect(new SqlExpression(text).evaluate(big).error?.kind).toBe('functionEvaluation');
    }
  });
});

describe('what is no expression', () => {
  it.each<[string, number, string]>([
    ['', 0, 'a value is expected, not the end'],
    ['1 +', 3, 'a value is expected, not the end'],
    ['1 2', 2, 'an operator or the end is expected, not "2"'],
    ['(1', 2, 'an operator or a ) is expected, not the end'],
    ['1)', 1, 'an operator or the end is expected'],
    ["'abc", 0, "the string that begins here has no closing '"],
    [`'abc\\'`, 0, 'has no closing'],
    ["'it''s'", 4, 'an operator or the end is expected'],
    ['a ~ b', 2, '"~" does not belong to the language'],
    ['a == b', 3, 'a value is expected, not "="'],
    ['2147483648', 0, '2147483648 is no 32-bit integer'],
    ['-2147483649', 0, '-2147483649 is no 32-bit integer'],
    ['+ 5', 0, 'a value is expected, not "+"'],
    ['+region', 0, 'a value is expected, not "+"'],
    ['x LIKE 123', 7, 'a string after LIKE is expected'],
    ['x LIKE CONCAT(1)', 7, 'a string after LIKE is expected'],
    ['x NOT 5', 6, 'LIKE or IN after NOT is expected'],
    ['x IN ()', 6, 'a value is expected, not ")"'],
    ['x IN (1, )', 9, 'a value is expected, not ")"'],
    ['x IN 1', 5, 'a ( after IN is expected'],
    ['EXISTS', 6, 'an attribute is expected, not the end'],
    ["EXISTS 'x'", 7, 'an attribute is expected'],
    ['EXISTS (x)', 7, 'an attribute is expected'],
    ['EXISTS and', 7, 'an attribute is expected, not "AND"'],
    ['AND', 0, 'an attribute is expected, not "AND"'],
    ['a_b', 0, 'an attribute, whose name is 1 to 64 letters and digits, is expected'],
    ['F1(x)', 0, 'a function, whose name is letters and _, is expected'],
    ['ABC(', 4, 'a value is expected, not the end'],
    ['ABS(1', 5, 'an operator, a comma or a ) is expected'],
    ['ABS(1,)', 6, 'a value is expected'],
    ['a.b', 1, '"." does not belong to the language'],
    [';', 0, 'does not belong'],
  ])('%j, at %j: %s', (text, at, message) => {
    const error = syntaxError(text);
    expect(error.at).toBe(at);
    expect(error.message).toContain(message);
  });

  it.each<[string, string, string]>([
    ['length', ' '.repeat(4097), '4096 characters'],
    ['parts', Array(513).fill('1').join('+'), '64 levels'],
    ['number of parts', `a IN (${Array(1024).fill('1').join(',')})`, '1024 parts'],
    ['brackets', `${'('.repeat(65)}1${')'.repeat(65)}`, '64 levels'],
    ['unary operators', `${'- '.repeat(65)}1`, '64 levels'],
    ['calls', `${'ABS('.repeat(65)}1${')'.repeat(65)}`, '64 levels'],
  ])('is refused by its %s before it can do harm', (_, text, limit) => {
    expect(syntaxError(text).limit).toBe(limit);
  });

  it('takes chains of one AND or OR for one level', () => {
    const chain = Array(500).fill('vip').join(' AND ');
    expect(new SqlExpression(chain).evaluate(event).value).toBe(true);
  });
});

describe('as a filter', () => {
  it.each<[string, boolean | undefined]>([
    ['vip', true],
    ['NOT vip', false],
    ['region', undefined],
    ['priority', undefined],
    ['nowhere', undefined],
    ["region = 'eu'", true],
    ['ABS(least) > 1', undefined],
    ['TRUE', true],
    ['1 = 1', true],
    ["TRUE AND region = 'us'", false],
    ["FALSE OR region = 'us'", false],
    ["region = 'us' OR TRUE", true],
    ['nowhere OR TRUE', undefined],
    ["TRUE AND 'x'", undefined],
  ])('%s is %j', (text, expected) => {
    expect(new SqlExpression(text).test(event)).toBe(expected);
  });

  it('says what went wrong', () => {
    const message = (text: string) => new SqlExpression(text).evaluate(event).error?.message;
    expect(message('nowhere > 1')).toBe('the event has no attribute "nowhere"');
    expect(message('region > 1')).toBe('"eu" is not an Integer');
    expect(message('priority / 0 = 1')).toBe('7 is divided by 0');
  });
});

function syntaxError(text: string): SqlSyntaxError {
  try {
    new SqlExpression(text);
  } catch (error) {
    if (error instanceof SqlSyntaxError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
