import { assert } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';

/** What a block costs in memory besides its bytes: its array, its place in the queue and in the map of its table. */
const overheadBytes = 400;
/** What it costs to remember a block without its bytes. */
const ghostBytes = 160;
/** Further uses of a block are not counted. */
const usesMax = 3;

/**
 * Blocks of SSTables in memory, for all trees of a node. When it is full, a block has to be read twice before it is kept: the
 * first time it is only remembered, among as many as there are blocks. So a scan of everything, and gets that do not
 * repeat themselves, push out nothing and take no memory. Who has been there the longest leaves first, and is spared as
 * many times as it was used since, up to three (CLOCK with counts). A hit moves nothing.
 *
 * Each table has a partition of its own, by offset, which it drops as a whole. What tables keep in memory beside their blocks is
 * charged: it leaves so much less for blocks, and may leave nothing. Why:
 * docs/decisions/2026-11-21-lsm-block-cache.md.
 */
export class BlockCache {
  readonly #bytesMax: number;
  /** See {@link BlockCachePartition.charge}. */
  #chargedBytes = 0;
  #hits = 0;
  #misses = 0;
  readonly #blocks = new Queue();
  /** Blocks that were read once, without their bytes; the newest of them, about as many as there are blocks. */
  readonly #ghosts = new Queue();

  /** @param bytesMax 0 to keep nothing. */
  constructor(bytesMax: number) {
    assert(bytesMax >= 0, `bytesMax must be at least 0, got ${bytesMax}`);
    this.#bytesMax = bytesMax;
  }

  /** Bytes that the cache takes, with what it needs besides the blocks. Above the maximum only where so much is charged. */
  get bytes(): number {
    return this.#blocks.bytes + this.#ghosts.bytes + this.#chargedBytes;
  }

  /** Of those, what is charged for tables: nothing else is kept once this is the maximum. */
  get chargedBytes(): number {
    return this.#chargedBytes;
  }

  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  partition(): BlockCachePartition {
    const ofTable = new Map<number, CachedBlock>();
    let chargedBytes = 0;
    return {
      get: (offset) => this.#get(ofTable, offset),
      wants: (offset, bytes) => this.#wants(ofTable, offset, bytes),
      insert: (offset, block) => this.#insert(ofTable, offset, block),
      charge: (bytes) => {
        chargedBytes += bytes;
        this.#charge(bytes);
      },
      clear: () => {
        for (const cached of ofTable.values()) cached.queue.remove(cached);
        ofTable.clear();
        this.#charge(-chargedBytes);
        chargedBytes = 0;
      },
    };
  }

  #get(ofTable: Map<number, CachedBlock>, offset: number): Uint8Array | undefined {
    const cached = ofTable.get(offset);
    if (cached === undefined || cached.queue === this.#ghosts) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    if (cached.uses < usesMax) cached.uses++;
    return cached.block;
  }

  #wants(ofTable: Map<number, CachedBlock>, offset: number, blockBytes: number): boolean {
    const bytes = blockBytes + overheadBytes;
    if (bytes > this.#bytesMax - this.#chargedBytes) return false;
    if (this.bytes + bytes <= this.#bytesMax || ofTable.has(offset)) return true;
    // In place of another one: to be remembered must not cost a block.
    if (this.#ghosts.length >= this.#blocks.length && this.#ghosts.length > 0) this.#forget(this.#ghosts.oldest);
    this.#add(new CachedBlock(ofTable, offset, emptyBytes, ghostBytes, this.#ghosts));
    return false;
  }

  #insert(ofTable: Map<number, CachedBlock>, offset: number, block: Uint8Array): void {
    // A view keeps all of its memory alive.
    const bytes = block.buffer.byteLength + overheadBytes;
    if (bytes > this.#bytesMax - this.#chargedBytes) return;
    const older = ofTable.get(offset);
    if (older !== undefined) this.#forget(older);
    this.#add(new CachedBlock(ofTable, offset, block, bytes, this.#blocks));
  }

  #charge(bytes: number): void {
    this.#chargedBytes += bytes;
    while (this.bytes > this.#bytesMax && this.#blocks.length + this.#ghosts.length > 0) this.#evict();
  }

  /** Makes room before, so that the new one is not what has to leave. */
  #add(cached: CachedBlock): void {
    while (this.bytes + cached.bytes > this.#bytesMax) this.#evict();
    cached.ofTable.set(cached.offset, cached);
    cached.queue.add(cached);
  }

  /** Frees some memory. Every call takes a use, a block or a ghost away, so that it ends. */
  #evict(): void {
    if (this.#ghosts.length > this.#blocks.length) {
      this.#forget(this.#ghosts.oldest);
      return;
    }
    const { oldest } = this.#blocks;
    if (oldest.uses === 0) {
      this.#forget(oldest);
      return;
    }
    oldest.uses--;
    this.#blocks.remove(oldest);
    this.#blocks.add(oldest);
  }

  #forget(cached: CachedBlock): void {
    cached.queue.remove(cached);
    cached.ofTable.delete(cached.offset);
  }
}

/** The cached blocks of one table, by their offset in the file. */
export interface BlockCachePartition {
  get(offset: number): Uint8Array | undefined;
  /**
   * Whether a block that had to be read, of so many bytes in memory, is worth keeping: there is room, or it was asked for not
   * long ago. If not, that is remembered.
   */
  wants(offset: number, bytes: number): boolean;
  /** Keeps the block, at the cost of others. It must never change. */
  insert(offset: number, block: Uint8Array): void;
  /** Counts as the cache's so many bytes that are kept for the table beside its blocks, until {@link clear}. */
  charge(bytes: number): void;
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
  readonly ofTable: Map<number, CachedBlock>;
  readonly offset: number;
  /** Empty in the queue of ghosts. */
  readonly block: Uint8Array;
  readonly bytes: number;
  readonly queue: Queue;
  /** Since it was spared last. */
  uses = 0;
  next: CachedBlock = this;
  previous: CachedBlock = this;

  constructor(ofTable: Map<number, CachedBlock>, offset: number, block: Uint8Array, bytes: number, queue: Queue) {
    this.ofTable = ofTable;
    this.offset = offset;
    this.block = block;
    this.bytes = bytes;
    this.queue = queue;
  }
}
