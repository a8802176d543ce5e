/**
 * Values that are handed out of lent memory. An array of up to 64 bytes lies in the heap of the engine of JavaScript itself and is
 * made quickly; a larger one has memory of its own outside of it, which takes three times as long to make as to copy a
 * small value. So small values share memory: whoever keeps one keeps `sharedBytes`, at most.
 */
import { isLent } from './lent-bytes.js';

const heapBytesMax = 64;
const smallBytesMax = 1024;
const sharedBytes = 4 * smallBytesMax;

let shared = new Uint8Array(0);
let sharedAt = 0;

/** The same bytes, to hand out: `value` if it is not lent. Not for a cache, which counts what it keeps. */
export function ownedValue(value: Uint8Array): Uint8Array {
  if (!isLent(value)) return value;
  const { length } = value;
  if (length <= heapBytesMax || length > smallBytesMax) return new Uint8Array(value);
  if (sharedAt + length > shared.length) {
    shared = new Uint8Array(sharedBytes);
    sharedAt = 0;
  }
  const copy = shared.subarray(sharedAt, sharedAt + length);
  copy.set(value);
  sharedAt += length;
  return copy;
}
