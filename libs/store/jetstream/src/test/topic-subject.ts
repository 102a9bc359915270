import { writeSubject } from '../write-bytes.ts';

/** The subject tokens of a topic, as they are written into a message. */
export function subjectOf(topic: string): string {
  const bytes = Buffer.from(topic);
  // A byte takes three at most, and no byte at all takes one.
  const out = Buffer.alloc(3 * bytes.length + 1);
  return out.toString('utf8', 0, writeSubject(out, 0, bytes, { start: 0, end: bytes.length }));
}

/** The topic of subject tokens, by what the mapping promises. */
export function topicOf(subject: string): string {
  return subject
    .split('.')
    .map((token) =>
      token === '%'
        ? ''
        : token.replace(/%([0-9A-F]{2})/g, (_all, code: string) =>
            String.fromCharCode(parseInt(code, 16)),
          ),
    )
    .join('/');
}
