/**
 * A message that its sender has encoded itself, for the few hot paths where building a message
 * object for each event would cost more than the event. The bytes must be a valid encoding of the
 * method's input or output.
 */
export class PreEncoded {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}
