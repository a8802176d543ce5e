/**
 * Memory for blocks that nobody keeps, and their contents while they are searched. A get of a block that the cache does not
 * want needs it only until it has found its value: to make arrays for what is read and for what is decompressed, and to collect
 * them again, takes as long as reading and decompressing itself.
 */
import { lentBytesMax, lentMemory } from './snappy-decoder.js';

/** So many bytes, of any content, until the next call; so they must never outlive a turn of the event loop. */
export function lentBytes(length: number): Uint8Array {
  return length <= lentBytesMax ? lentMemory.subarray(0, length) : new Uint8Array(length);
}

export function isLent(bytes: Uint8Array): boolean {
  return bytes.buffer === lentMemory.buffer;
}

/** The same bytes, to keep: `bytes` if they are not lent, else a copy with memory of exactly its length. */
export function copyOfLent(bytes: Uint8Array): Uint8Array {
  return isLent(bytes) ? new Uint8Array(bytes) : bytes;
}
