import { crc32 as nativeCrc32 } from 'node:zlib';

/**
 * CRC-32 (IEEE 802.3, as in gzip) of `bytes`, continuing from `previous`; native code, several GB/s.
 * See docs/decisions/2026-11-20-crc32.md for why not CRC-32C.
 */
export function crc32(bytes: Uint8Array, previous = 0): number {
  // Node 20 answers 0, not `previous`, for an empty array that has no memory behind it.
  return bytes.length === 0 ? previous : nativeCrc32(bytes, previous);
}

/**
 * A checksum that is stored beside the bytes it covers is masked (as LevelDB does), so that the checksum of bytes
 * which themselves contain checksums is not degenerate. In particular 32 zero bits are not the checksum of zeros.
 */
export function maskedCrc32(bytes: Uint8Array, previous = 0): number {
  const crc = crc32(bytes, previous);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
