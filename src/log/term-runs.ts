import { assert, defined } from '../base/assert.js';
import { LogIndex, type Term } from '../base/ids.js';

/**
 * The terms of a log's entries, and of the one before the first, as runs of equal terms: a few numbers for millions
 * of entries. This is also what knows where the log begins and ends.
 *
 * Invariant: run `i` covers `#starts[i]` up to the start of the next run (the last: up to `lastIndex`); the first
 * starts at `baseIndex`; neighbours differ; terms do not decrease. While a log is replayed the terms of some runs may be
 * unknown, of entries that further on will be found or turn out to have been dropped.
 */
export class TermRuns {
  #starts: number[];
  #terms: (Term | undefined)[];
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
    return defined(this.#terms[0], 'the term before the first entry');
  }

  get lastIndex(): LogIndex {
    return LogIndex(this.#lastIndex);
  }

  /** The last that is known. */
  get lastTerm(): Term {
    return defined(
      this.#terms.findLast((term) => term !== undefined),
      'a known term',
    );
  }

  /** Undefined outside `baseIndex … lastIndex`, and where it is unknown. */
  term(index: LogIndex): Term | undefined {
    if (index > this.#lastIndex || index < this.#starts[0]) return undefined;
    return this.#terms[this.#runOf(index)];
  }

  /** Adds the entry after the last. */
  push(term: Term): void {
    assert(term >= this.lastTerm, `term ${term} after term ${this.lastTerm}`);
    this.#lastIndex++;
    this.#addRun(this.#lastIndex, term);
  }

  /** Replay: entries up to `index` are missing so far. */
  pushUnknown(index: LogIndex): void {
    assert(index > this.#lastIndex, `no entry is missing up to ${index}`);
    this.#addRun(this.#lastIndex + 1, undefined);
    this.#lastIndex = index;
  }

  /**
   * Replay: `terms` are those of the entries from `first` on, of which some were unknown. False, and nothing changed,
   * when they cannot be.
   */
  fill(first: LogIndex, terms: readonly Term[]): boolean {
    const next = first + terms.length;
    assert(
      first > this.#starts[0] && next <= this.#lastIndex + 1,
      `entries ${first} to ${next - 1} are not among these`,
    );
    const filled = new TermRuns(this.baseIndex, this.baseTerm);
    const add = (start: number, term: Term | undefined): boolean => {
      if (term !== undefined && term < filled.lastTerm) return false;
      filled.#addRun(start, term);
      return true;
    };
    for (let run = 1; run < this.#starts.length && this.#starts[run] < first; run++) {
      filled.#addRun(this.#starts[run], this.#terms[run]);
    }
    for (let i = 0; i < terms.length; i++) {
      const known = this.term(LogIndex(first + i));
      if ((known !== undefined && known !== terms[i]) || !add(first + i, terms[i])) return false;
    }
    if (next <= this.#lastIndex) {
      const run = this.#runOf(next);
      if (!add(next, this.#terms[run])) return false;
      for (let i = run + 1; i < this.#starts.length; i++) if (!add(this.#starts[i], this.#terms[i])) return false;
    }
    this.#starts = filled.#starts;
    this.#terms = filled.#terms;
    return true;
  }

  /** The first entry whose term is unknown; undefined when all are known. */
  get firstUnknown(): LogIndex | undefined {
    const run = this.#terms.indexOf(undefined);
    return run < 0 ? undefined : LogIndex(this.#starts[run]);
  }

  /** Removes the entries from `index` on. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.#starts[0] && index <= this.#lastIndex + 1, `cannot truncate from ${index}`);
    this.#lastIndex = index - 1;
    const runs = this.#runOf(this.#lastIndex) + 1;
    this.#starts.length = runs;
    this.#terms.length = runs;
  }

  /** Removes the entries up to `index`, which becomes the base and is of `term`. */
  dropThrough(index: LogIndex, term: Term): void {
    assert(index >= this.#starts[0] && index <= this.#lastIndex, `cannot drop entries up to ${index}`);
    const run = this.#runOf(index);
    const starts = this.#starts.slice(run);
    const terms = this.#terms.slice(run);
    const end = starts.length > 1 ? starts[1] : this.#lastIndex + 1;
    // Unknown entries stay unknown after `index`.
    if (terms[0] !== term && index + 1 < end) {
      starts.splice(1, 0, index + 1);
      terms.splice(1, 0, terms[0]);
    }
    starts[0] = index;
    terms[0] = term;
    this.#starts = starts;
    this.#terms = terms;
  }

  #addRun(start: number, term: Term | undefined): void {
    if (term === this.#terms[this.#terms.length - 1]) return;
    this.#starts.push(start);
    this.#terms.push(term);
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
