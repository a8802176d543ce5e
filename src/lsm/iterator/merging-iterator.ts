import { assert } from '../../base/assert.js';
import type { Timestamp } from '../../base/ids.js';
import { compareEntries, type Kind } from '../entry.js';
import type { EntryIterator, Pending } from './entry-iterator.js';

/**
 * Merges sources that all walk in the same direction into one order; a binary heap of those that have an entry left.
 * Of entries of the same key and version the one from the newer source comes first when ascending, last when descending.
 */
export class MergingIterator implements EntryIterator {
  readonly #sources: readonly EntryIterator[];
  readonly #direction: 1 | -1;
  /** Positions in `#sources`; the smallest entry is at 0. */
  readonly #heap: number[] = [];

  /** @param sources newest first */
  constructor(sources: readonly EntryIterator[], reverse: boolean) {
    this.#sources = sources;
    this.#direction = reverse ? -1 : 1;
  }

  get valid(): boolean {
    return this.#heap.length > 0;
  }

  get #top(): EntryIterator {
    assert(this.#heap.length > 0, 'the iterator is on no entry');
    return this.#sources[this.#heap[0]];
  }

  get key(): Uint8Array {
    return this.#top.key;
  }

  get version(): Timestamp {
    return this.#top.version;
  }

  get kind(): Kind {
    return this.#top.kind;
  }

  get value(): Uint8Array {
    return this.#top.value;
  }

  start(): Pending {
    const pending: Promise<void>[] = [];
    for (const source of this.#sources) {
      const step = source.start();
      if (step !== undefined) pending.push(step);
    }
    if (pending.length > 0) return Promise.all(pending).then(this.#buildHeap);
    this.#buildHeap();
    return undefined;
  }

  advance(): Pending {
    const pending = this.#top.advance();
    if (pending !== undefined) return pending.then(this.#settleTop);
    this.#settleTop();
    return undefined;
  }

  readonly #buildHeap = (): void => {
    for (let i = 0; i < this.#sources.length; i++) if (this.#sources[i].valid) this.#heap.push(i);
    for (let i = (this.#heap.length >>> 1) - 1; i >= 0; i--) this.#siftDown(i);
  };

  /** The source at the top has moved: puts it where it belongs now. */
  readonly #settleTop = (): void => {
    if (!this.#top.valid) {
      const last = this.#heap.pop();
      if (last === undefined || this.#heap.length === 0) return;
      this.#heap[0] = last;
    }
    this.#siftDown(0);
  };

  #siftDown(at: number): void {
    const heap = this.#heap;
    for (;;) {
      let smallest = at;
      const left = 2 * at + 1;
      if (left < heap.length && this.#comesBefore(heap[left], heap[smallest])) smallest = left;
      if (left + 1 < heap.length && this.#comesBefore(heap[left + 1], heap[smallest])) smallest = left + 1;
      if (smallest === at) return;
      [heap[at], heap[smallest]] = [heap[smallest], heap[at]];
      at = smallest;
    }
  }

  #comesBefore(a: number, b: number): boolean {
    const x = this.#sources[a];
    const y = this.#sources[b];
    const order = compareEntries(x.key, x.version, y.key, y.version);
    return (order === 0 ? a - b : order) * this.#direction < 0;
  }
}
