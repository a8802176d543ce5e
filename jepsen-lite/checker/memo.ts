import type { OperationSet } from './operation-set.js';

/** Header of a record: the state and the length of the encoded set. */
const headerWords = 2;
/** Mean size of a record that the memory cap allows for; real ones take 4 to 8 words. */
const meanRecordWordsMax = 16;
const tableSlotsStart = 1 << 10;
const arenaWordsStart = 1 << 13;

/**
 * Remembers which (set of linearized operations, state) a search has been in, so that it enters each only once.
 *
 * Records lie one after the other in one array of words, found through an open-addressing hash table of their
 * offsets: no object per record, at most about `100 * entriesMax` bytes in all. Sets are compared in full, never
 * by hash alone: a collision would make the checker lie.
 */
export class Memo {
  readonly #entriesMax: number;
  readonly #arenaWordsMax: number;
  /** Offsets of records plus one; 0 is a free slot. At most half full. */
  #table = new Uint32Array(tableSlotsStart);
  #arena = new Uint32Array(arenaWordsStart);
  #arenaUsed = 0;
  #entries = 0;

  constructor({ entriesMax }: { readonly entriesMax: number }) {
    this.#entriesMax = entriesMax;
    this.#arenaWordsMax = Math.min(entriesMax * meanRecordWordsMax, 2 ** 31);
  }

  get entries(): number {
    return this.#entries;
  }

  /** Remembers the pair. `full`: it is new, but the memory cap leaves no room for it. */
  insert(set: OperationSet, stateId: number): 'new' | 'seen' | 'full' {
    const recordWordsMax = headerWords + set.encodedWordsMax;
    if (this.#arenaUsed + recordWordsMax > this.#arena.length) this.#growArena(recordWordsMax);

    // Written behind the last record at once; kept only if it turns out to be new.
    const record = this.#arenaUsed;
    const length = headerWords + set.encode(this.#arena, record + headerWords);
    this.#arena[record] = stateId;
    this.#arena[record + 1] = length;

    const slot = this.#find(record, length);
    if (this.#table[slot] !== 0) return 'seen';
    if (this.#entries === this.#entriesMax || record + length > this.#arenaWordsMax) return 'full';
    this.#table[slot] = record + 1;
    this.#arenaUsed = record + length;
    this.#entries++;
    if (this.#entries * 2 > this.#table.length) this.#growTable();
    return 'new';
  }

  /** The slot that holds a record equal to the one at `record`, or the free slot where it belongs. */
  #find(record: number, length: number): number {
    const arena = this.#arena;
    const mask = this.#table.length - 1;
    for (let slot = this.#hash(record, length) & mask; ; slot = (slot + 1) & mask) {
      const found = this.#table[slot];
      if (found === 0) return slot;
      const other = found - 1;
      let same = 0;
      while (same < length && arena[other + same] === arena[record + same]) same++;
      if (same === length) return slot;
    }
  }

  /** FNV-1a over words, finished as in MurmurHash3 so that the low bits, which the table uses, depend on all. */
  #hash(record: number, length: number): number {
    let hash = 0x811c9dc5;
    for (let at = record; at < record + length; at++) {
      hash = Math.imul(hash ^ this.#arena[at], 0x01000193);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  #growArena(wordsNeeded: number): void {
    const grown = new Uint32Array(Math.max(this.#arena.length * 2, this.#arenaUsed + wordsNeeded));
    grown.set(this.#arena);
    this.#arena = grown;
  }

  #growTable(): void {
    this.#table = new Uint32Array(this.#table.length * 2);
    for (let record = 0; record < this.#arenaUsed; record += this.#arena[record + 1]) {
      this.#table[this.#find(record, this.#arena[record + 1])] = record + 1;
    }
  }
}
