import { DecodeError } from '../../base/coding.js';
import { decodePeerFrame } from '../../rpc/peer-codec.js';
import type { PeerFrame } from '../../rpc/peer-messages.js';

/**
 * The other side of a peer connection broke the protocol: the connection is closed, and nothing else is wrong here.
 * Whatever else is thrown while a frame is handled is a bug of this node, and stops it.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Throws {@link ProtocolError} where the bytes are no frame. */
export function readFrame(bytes: Uint8Array): PeerFrame {
  try {
    return decodePeerFrame(bytes);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new ProtocolError(error.message, { cause: error });
  }
}
