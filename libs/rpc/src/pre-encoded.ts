/** Of gRPC's prefix of a message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

/**
 * A message that its sender has encoded itself, for the few hot paths where building a message
 * object for each event would cost more than the event. The sender fills `bytes` with a valid
 * encoding of the method's input or output.
 */
export class PreEncoded {
  /** The message behind its prefix, as it goes over the wire: a server sends it as it is. */
  readonly frame: Buffer;
  /** To be filled, the whole of it. */
  readonly bytes: Buffer;

  /** @param length Bytes of the message. */
  constructor(length: number) {
    this.frame = Buffer.allocUnsafe(PREFIX_BYTES + length);
    this.frame[0] = 0;
    this.frame.writeUInt32BE(length, 1);
    this.bytes = this.frame.subarray(PREFIX_BYTES);
  }
}
