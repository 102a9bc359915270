import type { Outgoing } from './group.ts';

export interface GroupFrame {
  readonly sending: readonly Outgoing[];
  /** Subject that the partition's messages lie below. */
  readonly base: string;
  /** Id of the atomic batch; not used by a group of one message. */
  readonly batchId: string;
  /** Last sequence of the stream before the group: the fence of its one writer. */
  readonly before: number;
  /** Where the server sends the one answer. */
  readonly reply: string;
}

const LINE_END = '\r\n';

/**
 * A group as the client protocol of NATS has it (`HPUB` for each message), in one frame: the lines
 * of a message are written, like its payload, once and in place. More than one message make an
 * atomic batch (ADR-50): its last one commits it and asks for the answer.
 */
export function encodeGroup({ sending, base, batchId, before, reply }: GroupFrame): Buffer {
  const texts = new Array<string>(sending.length);
  let size = 0;
  for (const [index, { message, line }] of sending.entries()) {
    let headers = `NATS/1.0\r\n${message.headers}${line}`;
    if (sending.length > 1) {
      headers += `Nats-Batch-Id: ${batchId}\r\nNats-Batch-Sequence: ${index + 1}\r\n`;
    }
    if (index === 0) headers += `Nats-Expected-Last-Sequence: ${before}\r\n`;
    const isLast = index === sending.length - 1;
    if (isLast && sending.length > 1) headers += 'Nats-Batch-Commit: 1\r\n';
    headers += LINE_END;
    const total = headers.length + message.payload.length;
    const to = isLast ? ` ${reply}` : '';
    const text = `HPUB ${base}.${message.subject}${to} ${headers.length} ${total}\r\n${headers}`;
    texts[index] = text;
    // Only the subject may have more than ASCII.
    size += text.length - message.subject.length + Buffer.byteLength(message.subject);
    size += message.payload.length + LINE_END.length;
  }
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [index, { message }] of sending.entries()) {
    at += out.write(texts[index] as string, at);
    out.set(message.payload, at);
    at += message.payload.length;
    out[at++] = 0x0d;
    out[at++] = 0x0a;
  }
  return out;
}
