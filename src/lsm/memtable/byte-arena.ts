const chunkBytesMin = 4 * 1024;
const chunkBytesMax = 1024 * 1024;

/**
 * Byte strings kept in a few large chunks, so that a million of them are no work for the garbage collector. Bytes are
 * never moved or changed: views stay good as long as somebody holds them. Freed as a whole.
 */
export class ByteArena {
  readonly #chunks: Uint8Array[] = [];
  /** Bytes used of the last chunk. */
  #used = 0;
  #memoryBytes = 0;

  /**
   * Makes room for `bytes` contiguous bytes; they start at `lastOffset` of chunk `lastChunk`. Chunks double from 4 KiB
   * to 1 MiB: a tree that holds little costs little.
   */
  reserve(bytes: number): void {
    const chunk = this.#chunks.at(-1);
    if (chunk === undefined || this.#used + bytes > chunk.length) {
      const next = chunk === undefined ? chunkBytesMin : Math.min(chunk.length * 2, chunkBytesMax);
      const added = new Uint8Array(Math.max(next, bytes));
      this.#chunks.push(added);
      this.#memoryBytes += added.length;
      this.#used = 0;
    }
    this.lastOffset = this.#used;
    this.#used += bytes;
  }

  lastOffset = 0;

  /** Bytes of all chunks. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get lastChunk(): number {
    return this.#chunks.length - 1;
  }

  chunk(index: number): Uint8Array {
    return this.#chunks[index];
  }
}
