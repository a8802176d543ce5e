/**
 * Memory for blocks that nobody keeps. A get of a block that the cache does not want needs it only until it has found its
 * value: to read and check 4 KiB takes as long as to make an array for them, and to collect that again.
 */

/** Larger blocks are rare, and cost more to read than to make room for. */
const lentBytesMax = 64 * 1024;

/** What a value may take to be put together with others. */
const smallBytesMax = 1024;
const sharedBytes = 16 * smallBytesMax;

const lent = new Uint8Array(lentBytesMax);
let shared = new Uint8Array(0);
let sharedAt = 0;

/** So many bytes, of any content, until the next call; so they must never outlive a turn of the event loop. */
export function lentBytes(length: number): Uint8Array {
  return length <= lentBytesMax ? lent.subarray(0, length) : new Uint8Array(length);
}

/** The same bytes, to keep: `bytes` if they are not lent. Small ones share memory, which is faster to make. */
export function owned(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer !== lent.buffer) return bytes;
  const { length } = bytes;
  if (length > smallBytesMax) return new Uint8Array(bytes);
  if (sharedAt + length > shared.length) {
    shared = new Uint8Array(sharedBytes);
    sharedAt = 0;
  }
  const copy = shared.subarray(sharedAt, sharedAt + length);
  copy.set(bytes);
  sharedAt += length;
  return copy;
}
