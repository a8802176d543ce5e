/** The frame of a gRPC message: a byte for "not compressed", the length, the message. */
const headerBytes = 5;

export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(headerBytes + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, headerBytes);
  return frame;
}
