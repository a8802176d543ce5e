import { assert } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';

/** What a block costs in memory besides its bytes: its array, its place in a queue and in the map of its table. */
const overheadBytes = 400;
/** What is kept of a block that was evicted soon. */
const ghostBytes = 160;
/** Part of the cache in which new blocks have to prove themselves. */
const newShare = 0.1;
/** Further uses of a block are not counted. */
const usesMax = 3;

/**
 * Blocks of SSTables in memory, for all trees of a node. Evicts as S3-FIFO does (Yang and others, "FIFO queues are all
 * you need for cache eviction", 2023): new blocks wait in a small queue; those that were used again there go on to the main
 * queue, the others leave and are remembered for a while, and go straight to the main queue if they come back. So a scan of
 * everything pushes out only the small queue. A hit moves nothing.
 *
 * Each table has a partition of its own, by offset, which it drops as a whole.
 */
export class BlockCache {
  readonly #bytesMax: number;
  #hits = 0;
  #misses = 0;
  readonly #new = new Queue();
  readonly #main = new Queue();
  /** Without their bytes; the newest of them as many as there are blocks. */
  readonly #ghosts = new Queue();

  /** @param bytesMax 0 to keep nothing. */
  constructor(bytesMax: number) {
    assert(bytesMax >= 0, `bytesMax must be at least 0, got ${bytesMax}`);
    this.#bytesMax = bytesMax;
  }

  /** Bytes that the cache takes, with what it needs besides the blocks. Never above the maximum. */
  get bytes(): number {
    return this.#new.bytes + this.#main.bytes + this.#ghosts.bytes;
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
        for (const cached of blocks.values()) cached.queue.remove(cached);
        blocks.clear();
      },
    };
  }

  #get(blocks: Map<number, CachedBlock>, offset: number): Uint8Array | undefined {
    const cached = blocks.get(offset);
    if (cached === undefined || cached.queue === this.#ghosts) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    if (cached.uses < usesMax) cached.uses++;
    return cached.block;
  }

  #insert(blocks: Map<number, CachedBlock>, offset: number, block: Uint8Array): void {
    // A view keeps all of its memory alive.
    const bytes = block.buffer.byteLength + overheadBytes;
    if (bytes > this.#bytesMax) return;
    const older = blocks.get(offset);
    const queue = older === undefined || older.queue === this.#new ? this.#new : this.#main;
    older?.queue.remove(older);
    while (this.bytes + bytes > this.#bytesMax) this.#evict();
    const cached = new CachedBlock(blocks, offset, block, bytes, queue);
    blocks.set(offset, cached);
    queue.add(cached);
  }

  /** Frees some memory. Every call takes a block, a use, or a ghost away, so that it ends. */
  #evict(): void {
    if (this.#ghosts.length > this.#new.length + this.#main.length) this.#forget(this.#ghosts.oldest);
    else if (this.#main.length === 0 || this.#new.bytes > this.#bytesMax * newShare) this.#evictNew(this.#new.oldest);
    else this.#evictMain(this.#main.oldest);
  }

  #evictNew(cached: CachedBlock): void {
    this.#new.remove(cached);
    if (cached.uses > 0) {
      cached.uses = 0;
      this.#main.add(cached);
      return;
    }
    cached.block = emptyBytes;
    cached.bytes = ghostBytes;
    this.#ghosts.add(cached);
  }

  #evictMain(cached: CachedBlock): void {
    if (cached.uses === 0) {
      this.#forget(cached);
      return;
    }
    cached.uses--;
    this.#main.remove(cached);
    this.#main.add(cached);
  }

  #forget(cached: CachedBlock): void {
    cached.queue.remove(cached);
    cached.blocks.delete(cached.offset);
  }
}

/** The cached blocks of one table, by their offset in the file. */
export interface BlockCachePartition {
  get(offset: number): Uint8Array | undefined;
  /** `block` must never change. */
  insert(offset: number, block: Uint8Array): void;
  clear(): void;
}

/** Blocks in the order of their coming: a ring, with the queue's own member between newest and oldest. */
class Queue {
  readonly #ends: CachedBlock = new CachedBlock(new Map(), 0, emptyBytes, 0, this);
  length = 0;
  bytes = 0;

  get oldest(): CachedBlock {
    assert(this.length > 0, 'an empty queue of blocks');
    return this.#ends.previous;
  }

  add(cached: CachedBlock): void {
    cached.queue = this;
    cached.next = this.#ends.next;
    cached.previous = this.#ends;
    this.#ends.next.previous = cached;
    this.#ends.next = cached;
    this.length++;
    this.bytes += cached.bytes;
  }

  remove(cached: CachedBlock): void {
    cached.next.previous = cached.previous;
    cached.previous.next = cached.next;
    this.length--;
    this.bytes -= cached.bytes;
  }
}

class CachedBlock {
  readonly blocks: Map<number, CachedBlock>;
  readonly offset: number;
  /** Empty in the queue of ghosts. */
  block: Uint8Array;
  bytes: number;
  queue: Queue;
  /** Since it came into its queue. */
  uses = 0;
  next: CachedBlock = this;
  previous: CachedBlock = this;

  constructor(blocks: Map<number, CachedBlock>, offset: number, block: Uint8Array, bytes: number, queue: Queue) {
    this.blocks = blocks;
    this.offset = offset;
    this.block = block;
    this.bytes = bytes;
    this.queue = queue;
  }
}
