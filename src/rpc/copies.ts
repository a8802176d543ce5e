/**
 * Copies of parts of a buffer, one that came in or one that is written again and again, for whoever keeps them. A typed array
 * of more than 64 bytes has memory of its own, which V8 takes from the system and must give back: three times what the copy costs. So copies of medium size are put one
 * after the other into slabs, as Node does for its Buffers. Whoever keeps one of these keeps at most a slab in memory. So they are
 * for what is kept for as long as an operation takes, or is its caller's; not for a cache, which counts what it keeps.
 */
// eslint-disable-next-line no-restricted-imports -- starts no thread: keeps callers from giving to theirs what is not theirs alone
import { markAsUntransferable } from 'node:worker_threads';
import { emptyBytes, viewOf } from '../base/bytes.js';

/** V8 has typed arrays up to this in its own heap. */
const heapBytesMax = 64;
const slabBytes = 16 * 1024;
const slabShareMax = slabBytes / 8;

let slab = emptyBytes;
let slabUsed = 0;

/** A copy of the bytes from `start` to `end`. */
export function copyOfPart(source: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  if (length <= heapBytesMax) {
    const copy = new Uint8Array(length);
    for (let i = 0; i < length; i++) copy[i] = source[start + i];
    return copy;
  }
  const part = viewOf(source, start, end);
  if (length > slabShareMax) return new Uint8Array(part);
  if (slabUsed + length > slab.length) {
    slab = new Uint8Array(slabBytes);
    // A caller who transfers what it got to another thread must not take along what lies beside it.
    markAsUntransferable(slab.buffer);
    slabUsed = 0;
  }
  slab.set(part, slabUsed);
  slabUsed += length;
  return viewOf(slab, slabUsed - length, slabUsed);
}
