/** The form of frames between nodes: docs/protocol/peer.md, "Framing". */
import { assert } from '../base/assert.js';
import { maskedCrc32, crc32 } from '../base/checksum.js';
import { getU32, putU32 } from '../base/coding.js';

/** Length of the payload (u32), then the masked checksum (u32) of the payload followed by those four bytes. */
export const frameHeaderBytes = 8;
const lengthBytes = 4;

/** The other side sent what is not a frame, or too long a one: the connection is of no more use. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export function writeFrameHeader(target: Uint8Array, offset: number, payload: Uint8Array): void {
  putU32(target, offset, payload.length);
  putU32(target, offset + lengthBytes, checksum(target.subarray(offset, offset + lengthBytes), payload));
}

function checksum(length: Uint8Array, payload: Uint8Array): number {
  return maskedCrc32(length, crc32(payload));
}

/**
 * Cuts a stream of bytes into frames. A frame that came in one chunk is handed out as a view of it; one that came in
 * several is put together once, when it is complete. At most one frame of maximal size and one chunk are kept. The first
 * frame has a bound of its own: it comes from somebody of whom nothing is known yet.
 */
export class FrameReader {
  readonly #payloadBytesMax: number;
  #nextPayloadBytesMax: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** Bytes that must be there before there is anything to do: a header, or a header and its payload. */
  #wanted = frameHeaderBytes;

  constructor(payloadBytesMax: number, firstPayloadBytesMax: number = payloadBytesMax) {
    this.#payloadBytesMax = payloadBytesMax;
    this.#nextPayloadBytesMax = firstPayloadBytesMax;
  }

  /** Bytes of a frame that is not complete. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /**
   * Owns `chunk`. Hands the payloads of all frames that are complete with it to `onFrame`, until that returns false;
   * throws {@link FrameError} for what is not a frame. The reader is of no use after either.
   */
  push(chunk: Uint8Array, onFrame: (payload: Uint8Array) => boolean): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#wanted) return;
    const bytes = this.#join();
    let at = 0;
    let goesOn = true;
    while (goesOn && bytes.length - at >= frameHeaderBytes) {
      const length = getU32(bytes, at);
      if (length > this.#nextPayloadBytesMax) throw this.#tooLong(length);
      const end = at + frameHeaderBytes + length;
      if (end > bytes.length) break;
      const payload = bytes.subarray(at + frameHeaderBytes, end);
      if (getU32(bytes, at + lengthBytes) !== checksum(bytes.subarray(at, at + lengthBytes), payload)) {
        throw new FrameError(
          `a frame of ${length} bytes whose checksum is wrong: damaged, or the other side does not speak this protocol`,
        );
      }
      at = end;
      this.#nextPayloadBytesMax = this.#payloadBytesMax;
      goesOn = onFrame(payload);
    }
    if (goesOn) this.#keep(bytes.subarray(at));
  }

  #tooLong(length: number): FrameError {
    const max = this.#nextPayloadBytesMax;
    const limit = max === this.#payloadBytesMax ? `the limit peerFrameBytesMax of ${max}` : `the ${max} of a greeting`;
    return new FrameError(
      `a frame of ${length} bytes, which is more than ${limit}; or the other side does not speak this protocol`,
    );
  }

  #join(): Uint8Array {
    if (this.#chunks.length === 1) return this.#chunks[0];
    const joined = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return joined;
  }

  #keep(rest: Uint8Array): void {
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    this.#wanted = frameHeaderBytes;
    if (rest.length >= frameHeaderBytes) this.#wanted += getU32(rest, 0);
    assert(rest.length < this.#wanted, 'all complete frames were handed out');
  }
}
