/**
 * How the contents of a block are stored: as they are, or compressed by Snappy's raw format. The last byte of a stored
 * block says which; the block's checksum covers it. Why Snappy: docs/decisions/2026-11-21-lsm-compression.md.
 */
import { assert } from '../../base/assert.js';
import { compressSync, uncompressSync } from 'snappy';
import { ByteReader, DecodeError } from '../../base/coding.js';
import { copyOfLent, isLent, lentBytes } from './lent-bytes.js';
import { decodeLent, fitsLentMemory } from './snappy-decoder.js';

/** What a writer tries. A block that gains too little is stored as it is all the same. */
export type Compression = 'none' | 'snappy';

/** Last byte of a stored block. */
const typeNone = 0;
const typeSnappy = 1;

/** A compressed block must save one eighth, or reading it costs more than it saves. */
const gainMin = 1 / 8;

/** An element of Snappy's format takes at least 3 bytes for the longest run that it stands for, 64 bytes. */
const expansionMax = 64 / 3;

/**
 * Results are copied into memory of the engine's own. What the package would hand out otherwise is invisible to the
 * garbage collector: a loop over blocks held 1.6 GB in the measurements.
 */
const copied = { copyOutputData: true };
const copiedBytes = { asBuffer: true, copyOutputData: true };

/** The bytes to store, without the type; may be `contents` itself. */
export interface CompressedBlock {
  readonly bytes: Uint8Array;
  readonly type: number;
}

export function compressBlock(contents: Uint8Array, compression: Compression): CompressedBlock {
  if (compression === 'snappy') {
    const bytes = plain(compressSync(contents, copied));
    if (bytes.length <= contents.length * (1 - gainMin)) return { bytes, type: typeSnappy };
  }
  return { bytes: contents, type: typeNone };
}

/**
 * Contents of a stored block, its type included; a view of `stored` where that was not compressed. Throws a DecodeError
 * on bytes of any other form, before it takes memory that they ask for in vain.
 */
export function decompressBlock(stored: Uint8Array): Uint8Array {
  return isCompressed(stored) ? copyOfLent(decompress(stored)) : withoutType(stored);
}

/** As {@link decompressBlock}, but in lent memory, unless the block is too large for that: see lentBytes. */
export function lentContents(stored: Uint8Array): Uint8Array {
  return isCompressed(stored) ? decompress(stored) : withoutType(stored);
}

function isCompressed(stored: Uint8Array): boolean {
  if (stored.length === 0) throw new DecodeError('a block without its type');
  const type = stored[stored.length - 1];
  if (type !== typeNone && type !== typeSnappy) throw new DecodeError(`a block has the unknown compression ${type}`);
  return type === typeSnappy;
}

function withoutType(stored: Uint8Array): Uint8Array {
  return stored.subarray(0, stored.length - 1);
}

function decompress(stored: Uint8Array): Uint8Array {
  // Snappy's own header: whoever decompresses allocates that much before it looks further.
  const end = stored.length - 1;
  const reader = new ByteReader(stored, 0, end);
  const length = reader.varint();
  if (length > end * expansionMax) throw new DecodeError(`${end} compressed bytes cannot stand for ${length}`);
  if (!fitsLentMemory(stored.length, length)) return uncompress(withoutType(stored), length);
  if (isLent(stored)) assert(stored.byteOffset === 0, 'a lent block is where it was read to');
  else lentBytes(stored.length).set(stored);
  return decodeLent(reader.offset, end, length);
}

/** By the package, what is too large for lent memory. */
function uncompress(bytes: Uint8Array, length: number): Uint8Array {
  let contents: string | Uint8Array;
  try {
    contents = uncompressSync(bytes, copiedBytes);
  } catch (error) {
    throw new DecodeError(`a block does not decompress: ${String(error)}`, { cause: error });
  }
  if (typeof contents === 'string' || contents.length !== length) throw new DecodeError('a block decompresses wrongly');
  return plain(contents);
}

/** Without what a Buffer does differently: its `slice` copies nothing. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
