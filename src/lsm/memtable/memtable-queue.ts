import { assert } from '../../base/assert.js';
import type { LogIndex, Timestamp } from '../../base/ids.js';
import type { Found } from '../entry.js';
import type { KeyBounds } from '../iterator/entry-iterator.js';
import type { RangeSource } from '../iterator/range-filter.js';
import type { TreeBatch } from '../tree-batch.js';
import { entryOverheadBytes, Memtable } from './memtable.js';
import type { MemtableBudget } from './memtable-budget.js';
import { MemtableIterator } from './memtable-iterator.js';

/**
 * The memtables of a tree: the active one, which takes writes, and the sealed ones, which wait to be flushed in order.
 * Counts at the budget what they have allocated.
 */
export class MemtableQueue {
  readonly #budget: MemtableBudget;
  #active: Memtable;
  /** Oldest first. */
  readonly #sealed: Memtable[] = [];

  constructor(appliedIndex: LogIndex, budget: MemtableBudget) {
    this.#budget = budget;
    this.#active = new Memtable(appliedIndex);
    budget.add(this.#active.memoryBytes, 0);
  }

  get active(): Memtable {
    return this.#active;
  }

  /** As they are now: the active one, and the sealed ones. */
  get all(): readonly Memtable[] {
    return [this.#active, ...this.#sealed];
  }

  get sealedCount(): number {
    return this.#sealed.length;
  }

  get oldestSealed(): Memtable | undefined {
    return this.#sealed.at(0);
  }

  get bytes(): number {
    return this.#sealed.reduce((sum, memtable) => sum + memtable.bytes, this.#active.bytes);
  }

  /** 2^53 - 1 when all are empty. */
  get smallestVersion(): number {
    return this.#sealed.reduce(
      (min, memtable) => Math.min(min, memtable.smallestVersion),
      this.#active.smallestVersion,
    );
  }

  /** Throws a BatchTooLargeError, and has done nothing, if the batch takes more than the budget allows for one write. */
  write(batch: TreeBatch, appliedIndex: LogIndex): void {
    this.#budget.checkWrite(batch.bytes + batch.count * entryOverheadBytes);
    const before = this.#active.memoryBytes;
    this.#active.write(batch, appliedIndex);
    this.#budget.add(this.#active.memoryBytes - before, 0);
  }

  /** The active memtable takes no more writes; an empty one takes its place. */
  seal(): void {
    const sealed = this.#active;
    this.#sealed.push(sealed);
    this.#active = new Memtable(sealed.appliedIndex);
    this.#budget.add(this.#active.memoryBytes - sealed.memoryBytes, sealed.memoryBytes);
  }

  /** The tables have it now. */
  dropOldestSealed(memtable: Memtable): void {
    assert(this.#sealed[0] === memtable, 'memtables are flushed in order');
    this.#sealed.shift();
    this.#budget.add(0, -memtable.memoryBytes);
  }

  /** The tree is closed: its memtables count no more. */
  release(): void {
    const sealedBytes = this.#sealed.reduce((sum, memtable) => sum + memtable.memoryBytes, 0);
    this.#budget.add(-this.#active.memoryBytes, -sealedBytes);
  }

  /** The newest version of `key` at or below `at` in any of them, of the entries alone. */
  get(key: Uint8Array, at: Timestamp): Found | undefined {
    let best = this.#active.get(key, at);
    for (let i = this.#sealed.length - 1; i >= 0; i--) {
      const memtable = this.#sealed[i];
      if (best !== undefined && memtable.largestVersion <= best.version) continue;
      const found = memtable.get(key, at);
      if (found !== undefined && (best === undefined || found.version > best.version)) best = found;
    }
    return best;
  }

  /** Entries of `key` of versions below this one are hidden from reads at `at` by range tombstones in any of them. */
  hiddenBelow(key: Uint8Array, at: Timestamp): number {
    let below = this.#active.ranges.hiddenBelow(key, at);
    for (const { ranges } of this.#sealed) below = Math.max(below, ranges.hiddenBelow(key, at));
    return below;
  }

  /** The range tombstones that are written until now. */
  rangeSources(): RangeSource[] {
    return [this.#active, ...this.#sealed]
      .flatMap(({ ranges }) => ranges.lists)
      .map((fragments) => ({ rangeTombstones: () => fragments }));
  }

  /** One for each, newest first; they see what is written until now. */
  iterators(bounds: KeyBounds, reverse: boolean): MemtableIterator[] {
    return [this.#active, ...this.#sealed.toReversed()].map(
      (memtable) => new MemtableIterator(memtable, bounds, reverse),
    );
  }
}
