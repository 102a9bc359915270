import { describe, expect, it } from '@jest/globals';
import { encodeGroup } from './encode-group.ts';

const outgoing = (subject: string, headers: string, payload: string, line = '') => ({
  message: { subject, headers, payload: Buffer.from(payload) },
  line,
});
const frame = { base: 'ev.log.0', batchId: 'b-1', before: 41, reply: '_INBOX.x.7' };

/** What a NATS server reads of a frame: each command's line, headers and payload. */
function commands(bytes: Buffer) {
  const found: { line: string; headers: string; payload: string }[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf('\r\n', at);
    const line = bytes.toString('utf8', at, end);
    const [headerBytes = 0, total = 0] = line.split(' ').slice(-2).map(Number);
    const from = end + 2;
    const headers = bytes.toString('latin1', from, from + headerBytes);
    const payload = bytes.toString('utf8', from + headerBytes, from + total);
    expect(bytes.toString('latin1', from + total, from + total + 2)).toBe('\r\n');
    found.push({ line, headers, payload });
    at = from + total + 2;
  }
  return found;
}

describe('a group as commands of the NATS client protocol', () => {
  it('is fenced, and asks for one answer, when it is a single message', () => {
    const sending = [outgoing('t.a', 'ce-id: 1\r\n', 'hello', 'Mesh-Producer: p 3\r\n')];
    expect(commands(encodeGroup({ ...frame, sending }))).toEqual([
      {
        line: 'HPUB ev.log.0.t.a _INBOX.x.7 75 80',
        headers:
          'NATS/1.0\r\nce-id: 1\r\nMesh-Producer: p 3\r\nNats-Expected-Last-Sequence: 41\r\n\r\n',
        payload: 'hello',
      },
    ]);
  });

  it('is an atomic batch that its last message commits, whatever its subjects and data hold', () => {
    const sending = [
      outgoing('t.ä', '', 'one\r\ntwo'),
      outgoing('t.b', '', ''),
      outgoing('t.c', '', 'ß'),
    ];
    const [first, second, third] = commands(encodeGroup({ ...frame, sending }));
    const batch = (index: number) => `Nats-Batch-Id: b-1\r\nNats-Batch-Sequence: ${index}\r\n`;
    const fence = 'Nats-Expected-Last-Sequence: 41\r\n';
    expect(first).toMatchObject({
      line: expect.stringMatching(/^HPUB ev\.log\.0\.t\.ä \d+ \d+$/),
      headers: `NATS/1.0\r\n${batch(1)}${fence}\r\n`,
      payload: 'one\r\ntwo',
    });
    expect(second).toMatchObject({ headers: `NATS/1.0\r\n${batch(2)}\r\n`, payload: '' });
    expect(third).toMatchObject({
      line: expect.stringContaining(' _INBOX.x.7 '),
      headers: `NATS/1.0\r\n${batch(3)}Nats-Batch-Commit: 1\r\n\r\n`,
      payload: 'ß',
    });
  });
});
