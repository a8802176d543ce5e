import { assert } from '../base/assert.js';
import { LogIndex, type Term } from '../base/ids.js';

/**
 * The terms of a log's entries, and of the one before the first, as runs of equal terms: a few numbers for millions
 * of entries. This is also what knows where the log begins and ends.
 *
 * Invariant: run `i` covers `#starts[i]` up to the start of the next run (the last: up to `lastIndex`); the first
 * starts at `baseIndex`; terms do not decrease.
 */
export class TermRuns {
  #starts: number[];
  #terms: Term[];
  #lastIndex: number;

  constructor(baseIndex: LogIndex, baseTerm: Term) {
    this.#starts = [baseIndex];
    this.#terms = [baseTerm];
    this.#lastIndex = baseIndex;
  }

  /** The index before the first entry. */
  get baseIndex(): LogIndex {
    return LogIndex(this.#starts[0]);
  }

  get baseTerm(): Term {
    return this.#terms[0];
  }

  get lastIndex(): LogIndex {
    return LogIndex(this.#lastIndex);
  }

  get lastTerm(): Term {
    return this.#terms[this.#terms.length - 1];
  }

  /** Undefined outside `baseIndex … lastIndex`. */
  term(index: LogIndex): Term | undefined {
    if (index > this.#lastIndex || index < this.#starts[0]) return undefined;
    return this.#terms[this.#runOf(index)];
  }

  /** Adds the entry after the last. */
  push(term: Term): void {
    assert(term >= this.lastTerm, `term ${term} after term ${this.lastTerm}`);
    this.#lastIndex++;
    if (term === this.lastTerm) return;
    this.#starts.push(this.#lastIndex);
    this.#terms.push(term);
  }

  /** After a restart: the term before the first entry was not known, and is now. */
  setBaseTerm(term: Term): void {
    assert(this.#terms.length === 1 || term <= this.#terms[1], `term ${term} before term ${this.#terms[1]}`);
    this.#terms[0] = term;
  }

  /** Removes the entries from `index` on. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.#starts[0] && index <= this.#lastIndex + 1, `cannot truncate from ${index}`);
    this.#lastIndex = index - 1;
    const runs = this.#runOf(this.#lastIndex) + 1;
    this.#starts.length = runs;
    this.#terms.length = runs;
  }

  /** Removes the entries up to `index`, which becomes the base. */
  dropThrough(index: LogIndex): void {
    assert(index >= this.#starts[0] && index <= this.#lastIndex, `cannot drop entries up to ${index}`);
    const run = this.#runOf(index);
    this.#starts = this.#starts.slice(run);
    this.#terms = this.#terms.slice(run);
    this.#starts[0] = index;
  }

  #runOf(index: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    if (index >= this.#starts[high]) return high;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#starts[middle] <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
