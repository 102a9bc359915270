import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import { PublishBatchRequestSchema, PublishRequestSchema } from '@eventmesh/proto-gen/wire';
import fc from 'fast-check';
import { Malformed, tolerant } from './malformed.ts';

const NAME = 'eventmesh.publisher.v1.PublishBatchRequest';
const read = tolerant(PublishBatchRequestSchema, NAME);

/** A field of bytes, with its tag and length. */
const field = (number: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);

const {
  field: { topic, event },
} = PublishRequestSchema;
const {
  field: { events },
} = PublishBatchRequestSchema;
const NOT_TEXT = Buffer.from([0x61, 0xff]);
const whole = (...parts: Buffer[]) => field(events.number, Buffer.concat(parts));

describe('bytes that are not the message of a method', () => {
  it.each([
    ['that end early', Buffer.from([0x0a, 0x7f, 0x01]), 'request', NAME],
    ['that are nothing', Buffer.from([0xff]), 'request', NAME],
    [
      'with a text that is none',
      Buffer.concat([
        whole(field(topic.number, Buffer.from('a/b'))),
        whole(field(event.number, NOT_TEXT), field(topic.number, NOT_TEXT)),
      ]),
      'events[1].topic',
      'UTF-8',
    ],
  ])('%s are refused by the name that callers know', (_, bytes, at, says) => {
    const refused = read(bytes);
    if (!(refused instanceof Malformed)) throw new Error('it was taken');
    const { code, details, message } = refused.error;
    expect([code, details.field, details.reason]).toEqual(['InvalidArgument', at, 'MALFORMED']);
    expect(message).toContain(says);
    expect(message).not.toContain('wire');
  });

  it('never make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(read(Buffer.from(bytes))).toBeDefined();
      }),
    );
  });

  it('are none of those that are', () => {
    const message = create(PublishBatchRequestSchema, { events: [{ topic: 'a/ü' }] });
    expect(read(Buffer.from(toBinary(PublishBatchRequestSchema, message)))).toEqual(message);
  });
});
