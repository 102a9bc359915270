import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { encodeEvent, EventView } from '@eventmesh/event';
import { SubscriptionSchema, SubscriptionStatusSchema } from '@eventmesh/proto-gen/subscriber';
import { eventJson } from './event-json.ts';
import { parseFilter, parseStart, toSpec } from './filters.ts';
import { guessContentType, toEvent } from './pub.ts';
import { graphText, lostText } from './sites.ts';
import { stateText } from './subscriptions.ts';

const options = { type: 't', source: '/s', count: 1 };

describe('the event of `mesh pub`', () => {
  it('takes attributes from the options and the content type from the data', () => {
    const data = Buffer.from('{"a":1}');
    const event = toEvent(
      { ...options, id: '7', key: 'k', subject: 'x', attribute: ['tenantid=a=b'] },
      data,
    );
    expect(event).toMatchObject({
      id: '7',
      partitionkey: 'k',
      subject: 'x',
      datacontenttype: 'application/json',
      data,
      extensions: { tenantid: 'a=b' },
    });
  });

  it('has no data and no content type when there is none', () => {
    expect(toEvent(options, new Uint8Array())).not.toHaveProperty('data');
    expect(toEvent(options, new Uint8Array())).not.toHaveProperty('datacontenttype');
  });

  it.each(['Upper=1', 'no-value', '=x'])('refuses the attribute %s by name', (pair) => {
    expect(() => toEvent({ ...options, attribute: [pair] }, new Uint8Array())).toThrow(
      /--attribute/,
    );
  });

  it.each([
    ['{"a":[1]}', 'application/json'],
    ['22.5', 'application/json'],
    ['hello', 'text/plain; charset=utf-8'],
  ])('takes %s for %s', (text, type) => {
    expect(guessContentType(Buffer.from(text))).toBe(type);
  });

  it('takes what is not UTF-8 for bytes', () => {
    expect(guessContentType(Buffer.from([0xff, 0xfe, 0]))).toBe('application/octet-stream');
  });
});

describe('filters', () => {
  it.each([
    ['prefix:type=com.example.', { prefix: { type: 'com.example.' } }],
    ['!exact:subject=a=b', { not: { exact: { subject: 'a=b' } } }],
    ['{"any":[{"suffix":{"type":".x"}}]}', { any: [{ suffix: { type: '.x' } }] }],
    ["sql:region IN ('eu', 'us')", { sql: "region IN ('eu', 'us')" }],
    ['!sql:EXISTS vip', { not: { sql: 'EXISTS vip' } }],
    ['{"sql":"TRUE"}', { sql: 'TRUE' }],
    ['data:$.a.b=x', { data: { path: '$.a.b', equals: 'x' } }],
    ['data:$.a[0]=5', { data: { path: '$.a[0]', equals: 5 } }],
    ['data:$.a="5"', { data: { path: '$.a', equals: '5' } }],
    ['data:$.a=null', { data: { path: '$.a', equals: null } }],
    ['data:$.a=[1]', { data: { path: '$.a', equals: '[1]' } }],
    ['data:$.a=', { data: { path: '$.a', equals: '' } }],
    ['data:$.a^=x=', { data: { path: '$.a', prefix: 'x=' } }],
    ['data:$.a$=x', { data: { path: '$.a', suffix: 'x' } }],
    ['data:$.a<-1.5', { data: { path: '$.a', less: -1.5 } }],
    ['data:$.a>10', { data: { path: '$.a', greater: 10 } }],
    ["!data:$.a['x=y'][*]", { not: { data: { path: "$.a['x=y'][*]", exists: true } } }],
  ])('%s', (text, filter) => {
    expect(parseFilter(text)).toEqual(filter);
  });

  it.each([
    'type=x',
    '{"prefix":',
    '{"like":{"type":"x"}}',
    'exact:=x',
    'sql:1 +',
    'data:$.a>',
    'data:a=1',
  ])('refuse %s', (text) => {
    expect(() => parseFilter(text)).toThrow();
  });

  it.each([
    ['data:$..a=5', /data\.path: at character 2/],
    ['!data:total>5', /data\.path: at character 1: a path begins with \$/],
    ['exact:Type=a', /exact\.Type: is not a CloudEvents attribute name/],
  ])('say of %s where it goes wrong', (text, message) => {
    expect(() => parseFilter(text)).toThrow(message);
  });
});

describe('where a subscription starts', () => {
  it.each([
    ['latest', { kind: 'latest' }],
    ['earliest', { kind: 'earliest' }],
    ['0:42', { kind: 'position', partition: 0, position: 42 }],
    ['1970-01-01T00:00:01Z', { kind: 'time', timeMs: 1000 }],
  ])('%s', (text, start) => {
    expect(parseStart(text, '--from')).toEqual(start);
  });

  it('is refused with what would do', () => {
    const forms = /^start: "yesterday-ish" is not latest, earliest, a time or partition/;
    expect(() => parseStart('yesterday-ish', 'start')).toThrow(forms);
  });

  it('and the rest make a spec; exclusive and broadcast exclude each other', () => {
    expect(toSpec('s', ['a/#'], { exclusive: true, ordered: true })).toMatchObject({
      name: 's',
      topicFilters: ['a/#'],
      mode: 'exclusive',
      ordered: true,
    });
    expect(() => toSpec('s', ['#'], { exclusive: true, broadcast: true })).toThrow(/either/);
  });
});

describe('an event as JSON', () => {
  const json = (contentType: string | undefined, bytes: Buffer) =>
    eventJson(
      new EventView(
        encodeEvent({
          id: '1',
          source: '/s',
          type: 't',
          attributes: [
            ['n', { kind: 'integer', value: -5 }],
            ...(contentType === undefined
              ? []
              : [['datacontenttype', { kind: 'string', value: contentType }] as const]),
          ],
          data: { kind: 'binary', bytes },
        }),
      ),
    );

  it.each([
    ['application/json', '{"a":1}', { data: { a: 1 }, n: -5, specversion: '1.0' }],
    ['application/problem+json; charset=utf-8', '[1]', { data: [1] }],
    [undefined, '"x"', { data: 'x' }],
    ['text/plain', '{"a":1}', { data: '{"a":1}' }],
    ['application/json', 'not json', { data: 'not json' }],
  ])('of type %s with data %s', (type, text, expected) => {
    expect(json(type, Buffer.from(text))).toMatchObject(expected);
  });

  it('has bytes that are no text in base64', () => {
    expect(json('application/octet-stream', Buffer.from([0xff]))).toMatchObject({
      data_base64: '/w==',
    });
  });
});

describe('the graph of sites', () => {
  it('shows links that are down and bounds the interest', () => {
    const interest = Array.from({ length: 7 }, (_, n) => ({
      tenant: 'default',
      topicFilter: `t${n}/#`,
    }));
    const text = graphText({
      site: 'west',
      routes: [],
      sites: [
        { site: 'west', links: [{ to: 'east', cost: 1, up: true }], interest: [], httpAddress: '' },
        { site: 'east', links: [{ to: 'west', cost: 2, up: false }], interest, httpAddress: '' },
      ],
    });
    expect(text).toContain('west (asked)  ── east (cost 1)');
    expect(text).toContain('╳╳ west (cost 2, down)');
    expect(text).toContain('t4/# and 2 more');
  });

  it('says what a site has lost since it was restored, and where it still is', () => {
    const range = { site: 'east', partition: 3, from: 101, to: 130, end: 104, foundMs: 0 };
    const text = lostText(range);
    expect(text).toContain('"east" had taken positions 101 to 130 of partition 3');
    expect(text).toContain('found 1970-01-01T00:00:00.000Z');
  });
});

describe('the state of a subscription', () => {
  const status = (more: object) => create(SubscriptionStatusSchema, more);
  it.each([
    ['running', {}, {}],
    ['paused', { paused: true }, {}],
    ['running, 46 paced', {}, { paced: 46n }],
    ['running, reading stopped: memory, 2 paced', {}, { stopped: 'memory', paced: 2n }],
  ])('is %s', (text, subscription, more) => {
    const row = { subscription: create(SubscriptionSchema, subscription), status: status(more) };
    expect(stateText(row)).toBe(text);
  });

  it('is known without books', () => {
    expect(stateText({})).toBe('running');
  });
});
