/**
 * The platform copies to and from shared memory byte by byte (2.8 GB/s), but whole words where both sides have the same
 * place modulo 8 (16 GB/s). Larger strings of bytes are therefore moved to such a place first, which memory that is not
 * shared does several times as fast still.
 */

/** Below this it does not pay. */
const bytesMin = 512;
const wordBytes = 8;
/** What is larger is copied byte by byte all the same: it is rare, and the memory would stay. */
const bytesMax = 64 * 1024;

const moved = new Uint8Array(wordBytes + bytesMax);

/** The same bytes, ready to be copied to `offset` of shared memory; until the next call. */
export function realignedTo(bytes: Uint8Array, offset: number): Uint8Array {
  return (bytes.byteOffset - offset) % wordBytes === 0 ? bytes : realign(bytes, offset % wordBytes);
}

/** The same bytes, which are in shared memory, elsewhere; until the next call. */
export function realignedFrom(bytes: Uint8Array): Uint8Array {
  return realign(bytes, bytes.byteOffset % wordBytes);
}

function realign(bytes: Uint8Array, place: number): Uint8Array {
  if (bytes.length < bytesMin || bytes.length > bytesMax) return bytes;
  moved.set(bytes, place);
  return moved.subarray(place, place + bytes.length);
}
