/** A direct event on its way over a link. */
export interface DirectRecord {
  /** Has none. */
  readonly position: 0n;
  readonly record: Buffer;
  readonly destinations: string[];
}

/** Records of one frame. */
const FRAME_RECORDS = 1024;

/** Cuts what has gathered into frames of so many bytes at most, or of one record that is larger. */
export function* framesOf(
  records: readonly DirectRecord[],
  bytesMax: number,
): Generator<DirectRecord[]> {
  let frame: DirectRecord[] = [];
  let bytes = 0;
  for (const one of records) {
    const full = frame.length >= FRAME_RECORDS || bytes + one.record.length > bytesMax;
    if (full && frame.length > 0) {
      yield frame;
      frame = [];
      bytes = 0;
    }
    frame.push(one);
    bytes += one.record.length;
  }
  if (frame.length > 0) yield frame;
}
