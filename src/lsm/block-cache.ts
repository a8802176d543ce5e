import { emptyBytes } from '../base/bytes.js';

/**
 * Blocks of SSTables in memory, for all trees of a node: the least recently used go first when there are too many
 * bytes. Each table has a partition of its own, by offset, which it drops as a whole.
 */
export class BlockCache {
  readonly #bytesMax: number;
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  /** A ring: `next` is the most recently, `previous` the least recently used. */
  readonly #ring = new CachedBlock(new Map(), 0, emptyBytes);

  /** @param bytesMax 0 to keep nothing. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of the blocks that are cached. Never above the maximum. */
  get bytes(): number {
    return this.#bytes;
  }

  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  partition(): BlockCachePartition {
    const blocks = new Map<number, CachedBlock>();
    return {
      get: (offset) => this.#get(blocks, offset),
      insert: (offset, block) => this.#insert(blocks, offset, block),
      clear: () => {
        for (const cached of [...blocks.values()]) this.#evict(cached);
      },
    };
  }

  #get(blocks: Map<number, CachedBlock>, offset: number): Uint8Array | undefined {
    const cached = blocks.get(offset);
    if (cached === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    unlink(cached);
    this.#linkFirst(cached);
    return cached.block;
  }

  #insert(blocks: Map<number, CachedBlock>, offset: number, block: Uint8Array): void {
    if (block.length > this.#bytesMax) return;
    const older = blocks.get(offset);
    if (older !== undefined) this.#evict(older);
    const cached = new CachedBlock(blocks, offset, block);
    blocks.set(offset, cached);
    this.#linkFirst(cached);
    this.#bytes += block.length;
    while (this.#bytes > this.#bytesMax) this.#evict(this.#ring.previous);
  }

  #evict(cached: CachedBlock): void {
    unlink(cached);
    cached.blocks.delete(cached.offset);
    this.#bytes -= cached.block.length;
  }

  #linkFirst(cached: CachedBlock): void {
    cached.next = this.#ring.next;
    cached.previous = this.#ring;
    this.#ring.next.previous = cached;
    this.#ring.next = cached;
  }
}

/** The cached blocks of one table, by their offset in the file. */
export interface BlockCachePartition {
  get(offset: number): Uint8Array | undefined;
  /** `block` must never change. */
  insert(offset: number, block: Uint8Array): void;
  clear(): void;
}

/** A member of the ring; made as a ring of its own. */
class CachedBlock {
  readonly blocks: Map<number, CachedBlock>;
  readonly offset: number;
  readonly block: Uint8Array;
  next: CachedBlock = this;
  previous: CachedBlock = this;

  constructor(blocks: Map<number, CachedBlock>, offset: number, block: Uint8Array) {
    this.blocks = blocks;
    this.offset = offset;
    this.block = block;
  }
}

function unlink(cached: CachedBlock): void {
  cached.next.previous = cached.previous;
  cached.previous.next = cached.next;
}
