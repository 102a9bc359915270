import { describe, expect, it } from '@jest/globals';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import { encodeGroup, messageBytes } from './encode-group.ts';
import { commands } from './test/commands.ts';

const outgoing = (topic: string, data: string, line = '') => {
  const event = {
    id: '1',
    source: '/s',
    type: 't',
    data: { kind: 'text' as const, bytes: Buffer.from(data) },
  };
  const head = {
    tenant: 't',
    principal: 'p',
    originSite: 'w',
    destinations: [],
    ingressTimeUs: 1,
    hops: [],
  };
  return { record: { bytes: encodeRecord({ ...head, topic }, encodeEvent(event)) }, line };
};
const frame = { base: 'ev.log.0', batchId: 'b-1', before: 41, reply: '_INBOX.x.7' };
const CE = 'ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n';
/** Header lines without those of the event and of its record. */
const own = (headers: string) => headers.replace(CE, '').replace(/Mesh-Record: .*\r\n/, '');

describe('a group as commands of the NATS client protocol', () => {
  it('is fenced, and asks for one answer, when it is a single message', () => {
    const sending = [outgoing('a', 'hello', 'Mesh-Producer: p 3\r\n')];
    const [command, ...others] = commands(encodeGroup({ ...frame, sending }));
    expect(others).toEqual([]);
    expect(command?.line).toBe('HPUB ev.log.0.t.a _INBOX.x.7');
    expect(command?.headers).toContain(CE);
    expect(own(command?.headers ?? '')).toBe(
      'NATS/1.0\r\nMesh-Producer: p 3\r\nNats-Expected-Last-Sequence: 41\r\n\r\n',
    );
    expect(command?.payload.toString()).toBe('hello');
  });

  it('is an atomic batch that its last message commits, whatever its subjects and data hold', () => {
    const sending = [outgoing('ä', 'one\r\ntwo'), outgoing('b', ''), outgoing('c', 'ß')];
    const [first, second, third] = commands(encodeGroup({ ...frame, sending }));
    const batch = (index: number) => `Nats-Batch-Id: b-1\r\nNats-Batch-Sequence: ${index}\r\n`;
    expect(first?.line).toBe('HPUB ev.log.0.t.ä');
    expect(own(first?.headers ?? '')).toBe(
      `NATS/1.0\r\n${batch(1)}Nats-Expected-Last-Sequence: 41\r\n\r\n`,
    );
    expect(first?.payload.toString()).toBe('one\r\ntwo');
    expect(own(second?.headers ?? '')).toBe(`NATS/1.0\r\n${batch(2)}\r\n`);
    expect(second?.payload.length).toBe(0);
    expect(third?.line).toBe('HPUB ev.log.0.t.c _INBOX.x.7');
    expect(own(third?.headers ?? '')).toBe(`NATS/1.0\r\n${batch(3)}Nats-Batch-Commit: 1\r\n\r\n`);
    expect(third?.payload.toString()).toBe('ß');
  });

  it('has room for records larger than what is kept for it, between small ones', () => {
    const big = 'x'.repeat(3 * 1024 * 1024);
    const sending = [outgoing('a', 'one'), outgoing('a', big), outgoing('a', 'three')];
    const payloads = commands(encodeGroup({ ...frame, sending })).map(
      ({ payload }) => payload.length,
    );
    expect(payloads).toEqual([3, big.length, 5]);
  });

  it('takes what a message was measured to take, beside the lines of the batch', () => {
    const { record } = outgoing('orders/eu', 'hello');
    const [command] = commands(encodeGroup({ ...frame, sending: [{ record, line: '' }] }));
    const { line = '', headers = '', payload } = command ?? {};
    const subject = line.split(' ')[1]?.slice(frame.base.length + 1) ?? '';
    const lines = headers.length - 'NATS/1.0\r\nNats-Expected-Last-Sequence: 41\r\n\r\n'.length;
    expect(messageBytes(record)).toBe(subject.length + lines + (payload?.length ?? 0));
  });
});
