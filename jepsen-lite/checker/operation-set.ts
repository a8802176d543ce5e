/**
 * A set of operations, as bits, that stays small to store however long the history is.
 *
 * Operations that returned are numbered by their return, so a search has nearly all below some number and few above:
 * only the words from the first that has a gap to the last that has a bit are stored. Operations that never return
 * would keep that gap at their place for good, hence they have a region of their own, always stored, at the front.
 */
export class OperationSet {
  readonly #words: Uint32Array;
  readonly #pendingWords: number;
  /** All words from `#pendingWords` up to this one are full. */
  #firstGap: number;
  /** All words after this one are empty. */
  #lastUsed: number;

  /** Members are 0 … pendingCount - 1 (never return), then pendingBits(pendingCount) + 0 … returnedCount - 1. */
  constructor({ pendingCount, returnedCount }: { readonly pendingCount: number; readonly returnedCount: number }) {
    this.#pendingWords = Math.ceil(pendingCount / 32);
    this.#words = new Uint32Array(this.#pendingWords + Math.ceil(returnedCount / 32));
    this.#firstGap = this.#pendingWords;
    this.#lastUsed = this.#pendingWords - 1;
  }

  /** The number of the first operation that returns, when `pendingCount` never do. */
  static firstReturned(pendingCount: number): number {
    return Math.ceil(pendingCount / 32) * 32;
  }

  has(member: number): boolean {
    return ((this.#words[member >>> 5] >>> (member & 31)) & 1) === 1;
  }

  add(member: number): void {
    const word = member >>> 5;
    this.#words[word] |= 1 << (member & 31);
    if (word < this.#pendingWords) return;
    if (word > this.#lastUsed) this.#lastUsed = word;
    while (this.#firstGap < this.#words.length && this.#words[this.#firstGap] === 0xffff_ffff) this.#firstGap++;
  }

  remove(member: number): void {
    const word = member >>> 5;
    this.#words[word] &= ~(1 << (member & 31));
    if (word < this.#pendingWords) return;
    if (word < this.#firstGap) this.#firstGap = word;
    while (this.#lastUsed >= this.#pendingWords && this.#words[this.#lastUsed] === 0) this.#lastUsed--;
  }

  /** The most words that {@link encode} writes. */
  get encodedWordsMax(): number {
    return this.#words.length + 1;
  }

  /** Writes the set to `target` at `offset` and returns how many words it took. Equal sets are written equally. */
  encode(target: Uint32Array, offset: number): number {
    let at = offset;
    target[at++] = this.#firstGap;
    for (let word = 0; word < this.#pendingWords; word++) target[at++] = this.#words[word];
    for (let word = this.#firstGap; word <= this.#lastUsed; word++) target[at++] = this.#words[word];
    return at - offset;
  }
}
