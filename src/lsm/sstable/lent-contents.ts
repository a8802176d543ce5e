import { DecodeError } from '../../base/coding.js';
import { contentsLength } from './compression.js';
import { isLent, lentContentsBytesMax, lentContentsStart, lentMemory } from './lent-bytes.js';

const lent = lentMemory;
const lentView = new DataView(lent.buffer);

/**
 * The contents of a compressed block in lent memory, decompressed from the front and only as far as somebody looks: a search needs half
 * of a block on average. The form is Snappy's (format_description.txt of google/snappy): a length, then elements, each some
 * bytes as they are or a copy of bytes before. Lent, too: until the next block is read.
 *
 * Why not by the package, which is faster for a whole block: docs/decisions/2026-11-21-lsm-compression.md.
 */
export class LentContents {
  /** Of all contents. */
  readonly length: number;
  /** The first {@link decompressed} of them are there. */
  readonly bytes: Uint8Array;
  /** In the lent memory: the next element, and where the last one ends. */
  #at = 0;
  readonly #end: number;
  #decompressed = 0;

  /** Undefined where `stored`, a stored block in lent memory, is not compressed, or too large. Throws as decompressBlock does. */
  static of(stored: Uint8Array): LentContents | undefined {
    if (!isLent(stored)) return undefined;
    const length = contentsLength(stored);
    return length === undefined || length > lentContentsBytesMax ? undefined : new LentContents(stored, length);
  }

  private constructor(stored: Uint8Array, length: number) {
    this.length = length;
    this.bytes = lent.subarray(lentContentsStart, lentContentsStart + length);
    this.#end = stored.length - 1;
    while (lent[this.#at++] >= 0x80);
  }

  get decompressed(): number {
    return this.#decompressed;
  }

  /** Decompresses so many bytes from the front, or somewhat more. Throws a DecodeError. @param bytes at most `length` */
  decompress(bytes: number): void {
    const end = this.#end;
    const contentsEnd = lentContentsStart + this.length;
    const goal = lentContentsStart + bytes;
    let at = this.#at;
    let to = lentContentsStart + this.#decompressed;
    while (to < goal) {
      const tag = lent[at++];
      const type = tag & 3;
      let length = (tag >>> 2) + 1;
      let from: number;
      if (type === 0) {
        if (length > 60) {
          const lengthBytes = length - 60;
          length = 1;
          for (let i = 0; i < lengthBytes; i++) length += lent[at++] * 2 ** (8 * i);
        }
        from = at;
        at += length;
      } else {
        let distance = lent[at++];
        if (type === 1) {
          length = ((tag >>> 2) & 7) + 4;
          distance |= (tag >>> 5) << 8;
        } else {
          distance |= lent[at++] << 8;
          // Of 32 bits, which contents of this size have no use for.
          if (type === 3) distance += (lent[at++] + lent[at++] * 0x100) * 0x1_0000;
        }
        from = to - distance;
        if (distance === 0 || from < lentContentsStart)
          throw new DecodeError('a block copies bytes from before its start');
      }
      if (at > end || to + length > contentsEnd) throw new DecodeError('a block decompresses wrongly');
      const elementEnd = to + length;
      if (to - from >= 4) {
        do {
          lentView.setInt32(to, lentView.getInt32(from, true), true);
          to += 4;
          from += 4;
        } while (to < elementEnd);
      } else {
        while (to < elementEnd) lent[to++] = lent[from++];
      }
      to = elementEnd;
    }
    if (to === contentsEnd && at !== end) throw new DecodeError('a block decompresses to more than it says');
    this.#at = at;
    this.#decompressed = to - lentContentsStart;
  }

  /** All contents, not lent. */
  all(): Uint8Array {
    this.decompress(this.length);
    return new Uint8Array(this.bytes);
  }
}
