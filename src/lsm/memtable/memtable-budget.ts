/**
 * The memory that the memtables of all trees of a node may take together. The trees count here what they allocate; when
 * the active memtables take more than half of the budget the largest of them is sealed, and so flushed, until they do
 * not. The other half is for what is written while flushes are under way.
 *
 * Invariants:
 * - `bytes` is what the memtables of all members have allocated, until their flush is durable. A memtable that an open
 *   iterator still holds afterwards is not counted (see ReadViewMetrics), nor the copy of one that is flushed.
 * - `bytes` stays at or below `bytesMax`, if nobody writes while `isFull`, and no write takes more than `writeBytesMax`.
 * - While `isFull` there are sealed memtables, so a flush is under way that will make room.
 */
import { assert } from '../../base/assert.js';

export interface MemtableBudgetOptions {
  readonly bytesMax: number;
  /** What one write may add at most. Writes stop that far below `bytesMax`; a quarter of it or less. */
  readonly writeBytesMax: number;
}

/** A batch takes more memory than `writeBytesMax` allows for one write; nothing of it was written. */
export class BatchTooLargeError extends Error {
  override readonly name = 'BatchTooLargeError';
  readonly writeBytesMax: number;

  constructor(bytes: number, writeBytesMax: number) {
    super(`a batch that takes ${bytes} bytes in a memtable is over writeBytesMax, ${writeBytesMax} bytes`);
    this.writeBytesMax = writeBytesMax;
  }
}

/** The memtables of one tree, as the budget sees them. */
export interface BudgetMember {
  /** What sealing the active memtable would free, once it is flushed; 0 when it has no entries. */
  readonly sealableBytes: number;
  /** Seals the active memtable and has it flushed. */
  seal(): void;
  /** The budget is not full any more. */
  onRoom(): void;
}

export class MemtableBudget {
  readonly #options: MemtableBudgetOptions;
  readonly #members = new Set<BudgetMember>();
  #activeBytes = 0;
  #sealedBytes = 0;

  constructor(options: MemtableBudgetOptions) {
    const { bytesMax, writeBytesMax } = options;
    assert(writeBytesMax * 4 <= bytesMax, `a write of ${writeBytesMax} bytes is too large for a budget of ${bytesMax}`);
    this.#options = options;
  }

  get bytes(): number {
    return this.#activeBytes + this.#sealedBytes;
  }

  get bytesMax(): number {
    return this.#options.bytesMax;
  }

  /** With so many writes must wait. */
  get stopBytes(): number {
    return this.#options.bytesMax - this.#options.writeBytesMax + 1;
  }

  get isFull(): boolean {
    return this.bytes >= this.stopBytes;
  }

  /** Throws a BatchTooLargeError for a write that takes so much without what its memtable grows by in advance. */
  checkWrite(bytes: number): void {
    const { writeBytesMax } = this.#options;
    if (bytes > writeBytesMax) throw new BatchTooLargeError(bytes, writeBytesMax);
  }

  /** `onRoom` of a member is called until it leaves. */
  join(member: BudgetMember): void {
    this.#members.add(member);
  }

  leave(member: BudgetMember): void {
    this.#members.delete(member);
  }

  /** The active memtable of a member, or its sealed ones, take so much more, or less. May seal memtables. */
  add(activeBytes: number, sealedBytes: number): void {
    const wasFull = this.isFull;
    this.#activeBytes += activeBytes;
    this.#sealedBytes += sealedBytes;
    assert(this.#activeBytes >= 0 && this.#sealedBytes >= 0, 'more memory of memtables was given back than taken');
    if (activeBytes > 0) this.#sealLargest();
    if (wasFull && !this.isFull) for (const member of this.#members) member.onRoom();
  }

  #sealLargest(): void {
    while (this.#activeBytes > this.#options.bytesMax / 2) {
      let largest: BudgetMember | undefined;
      for (const member of this.#members) {
        if (member.sealableBytes > (largest?.sealableBytes ?? 0)) largest = member;
      }
      if (largest === undefined) return;
      largest.seal();
    }
  }
}
