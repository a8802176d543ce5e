import { assert } from '../../base/assert.js';
import type { Timestamp } from '../../base/ids.js';
import { compareEntries, type StoredKind } from '../entry.js';
import type { EntryIterator, Pending } from './entry-iterator.js';

const nobody = -1;

/**
 * Merges sources that all walk in the same direction into one order, by a tournament: a tree whose leaves are the
 * sources and whose inner nodes keep who lost there. When the winner has moved on, it is played again on its way to the
 * root, one comparison for each level. Of entries of the same key and version the one from the newer source comes first
 * when ascending, last when descending. (Knuth, The Art of Computer Programming, volume 3, 5.4.1.)
 */
export class MergingIterator implements EntryIterator {
  readonly #sources: readonly EntryIterator[];
  readonly #direction: 1 | -1;
  /** At node n from 1 on the source that lost there; the children of node n are 2n and 2n + 1, leaves come last. */
  readonly #losers: Int32Array;
  #winner = nobody;
  /** Where each source stands; no key when it has no entry left. */
  readonly #keys: (Uint8Array | undefined)[];
  readonly #versions: Float64Array;

  /** @param sources newest first */
  constructor(sources: readonly EntryIterator[], reverse: boolean) {
    this.#sources = sources;
    this.#direction = reverse ? -1 : 1;
    this.#losers = new Int32Array(sources.length);
    this.#keys = sources.map(() => undefined);
    this.#versions = new Float64Array(sources.length);
  }

  get valid(): boolean {
    return this.#winner !== nobody && this.#keys[this.#winner] !== undefined;
  }

  get #top(): EntryIterator {
    assert(this.valid, 'the iterator is on no entry');
    return this.#sources[this.#winner];
  }

  get key(): Uint8Array {
    const key = this.#winner === nobody ? undefined : this.#keys[this.#winner];
    if (key === undefined) assert(false, 'the iterator is on no entry');
    return key;
  }

  get version(): Timestamp {
    return this.#top.version;
  }

  get kind(): StoredKind {
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
    if (pending.length > 0) return Promise.all(pending).then(this.#playAll);
    this.#playAll();
    return undefined;
  }

  advance(): Pending {
    const pending = this.#top.advance();
    if (pending !== undefined) return pending.then(this.#replay);
    this.#replay();
    return undefined;
  }

  advanceHidden(end: Uint8Array, below: number): Pending {
    const pending = this.#top.advanceHidden(end, below);
    if (pending !== undefined) return pending.then(this.#replay);
    this.#replay();
    return undefined;
  }

  noteSkipped(): void {
    this.#top.noteSkipped();
  }

  readonly #playAll = (): void => {
    this.#losers.fill(nobody);
    for (let source = 0; source < this.#sources.length; source++) this.#play(source);
  };

  /** The winner has moved. */
  readonly #replay = (): void => this.#play(this.#winner);

  /** Plays a source from its leaf up. Where nobody has been yet it waits for the other side to come. */
  #play(source: number): void {
    const entry = this.#sources[source];
    const isValid = entry.valid;
    this.#keys[source] = isValid ? entry.key : undefined;
    if (isValid) this.#versions[source] = entry.version;
    let winner = source;
    for (let node = (source + this.#sources.length) >>> 1; node >= 1; node >>>= 1) {
      const other = this.#losers[node];
      if (other === nobody) {
        this.#losers[node] = winner;
        return;
      }
      if (this.#comesBefore(other, winner)) {
        this.#losers[node] = winner;
        winner = other;
      }
    }
    this.#winner = winner;
  }

  #comesBefore(a: number, b: number): boolean {
    const aKey = this.#keys[a];
    const bKey = this.#keys[b];
    if (aKey === undefined || bKey === undefined) return aKey !== undefined;
    const order = compareEntries(aKey, this.#versions[a], bKey, this.#versions[b]);
    return (order === 0 ? a - b : order) * this.#direction < 0;
  }
}
