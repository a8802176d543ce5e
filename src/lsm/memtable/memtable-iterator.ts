import { compareBytes, emptyBytes } from '../../base/bytes.js';
import type { Timestamp } from '../../base/ids.js';
import type { Kind } from '../entry.js';
import type { EntryIterator, KeyBounds } from '../iterator/entry-iterator.js';
import type { Memtable } from './memtable.js';

/** Sees the memtable as it was when the iterator was made. Every step is done at once. */
export class MemtableIterator implements EntryIterator {
  readonly #memtable: Memtable;
  readonly #bounds: KeyBounds;
  readonly #reverse: boolean;
  /** Nodes above this one were written later. */
  readonly #lastVisibleNode: number;
  #node = 0;
  #key = emptyBytes;

  constructor(memtable: Memtable, bounds: KeyBounds, reverse: boolean) {
    this.#memtable = memtable;
    this.#bounds = bounds;
    this.#reverse = reverse;
    this.#lastVisibleNode = memtable.count;
  }

  get valid(): boolean {
    return this.#node !== 0;
  }

  get key(): Uint8Array {
    return this.#key;
  }

  get version(): Timestamp {
    return this.#memtable.versionOf(this.#node);
  }

  get kind(): Kind {
    return this.#memtable.kindOf(this.#node);
  }

  get value(): Uint8Array {
    return this.#memtable.valueOf(this.#node);
  }

  start(): undefined {
    const { lower, upper } = this.#bounds;
    this.#settle(this.#reverse ? this.#memtable.lastBefore(upper) : this.#memtable.firstFrom(lower));
  }

  advance(): undefined {
    this.#settle(this.#step(this.#node));
  }

  #step(node: number): number {
    return this.#reverse ? this.#memtable.nodeBefore(node) : this.#memtable.nodeAfter(node);
  }

  /** Goes on to a visible node and stays there unless it is out of bounds. */
  #settle(node: number): void {
    while (node > this.#lastVisibleNode) node = this.#step(node);
    this.#node = 0;
    if (node === 0) return;
    const key = this.#memtable.keyOf(node);
    if (!this.#inBounds(key)) return;
    this.#node = node;
    this.#key = key;
  }

  #inBounds(key: Uint8Array): boolean {
    const { lower, upper } = this.#bounds;
    return this.#reverse ? compareBytes(key, lower) >= 0 : upper === undefined || compareBytes(key, upper) < 0;
  }
}
