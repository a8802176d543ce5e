/**
 * The log as the protocol sees it: the stable part lies in the host's `LogView`, the unstable part after it is kept
 * here until `stableTo` says that it is durable.
 *
 * Invariants:
 * - indexes are consecutive; the unstable part begins right after `stableIndex` and shadows what the view has there;
 * - `stableIndex <= handedOver <= lastIndex`, where `handedOver` is the last index that a `Ready` carried;
 * - `commitIndex` never goes back, never passes `lastIndex`, and no entry up to it is ever replaced;
 * - `appliedIndex <= applicableIndex <= commitIndex`.
 */
import { assert, defined } from '../base/assert.js';
import { LogIndex, type Term } from '../base/ids.js';
import type { Entry, LogView } from './types.js';

export class RaftLog {
  readonly #view: LogView;
  /** The entries from `#stableIndex + 1` on. */
  #unstable: Entry[] = [];
  #stableIndex: LogIndex;
  #handedOver: LogIndex;
  #commitIndex: LogIndex;
  #appliedIndex: LogIndex;

  /**
   * @param view all of it durable, as after a restart.
   * @param recordedCommit as the hard state says; what is applied is committed too.
   */
  constructor(view: LogView, recordedCommit: LogIndex, appliedIndex: LogIndex) {
    const commitIndex = recordedCommit > appliedIndex ? recordedCommit : appliedIndex;
    assert(view.lastIndex >= view.firstIndex - 1, 'the log ends before it begins');
    assert(view.term(LogIndex(view.firstIndex - 1)) !== undefined, 'the term before the first entry is unknown');
    assert(commitIndex <= view.lastIndex, `committed up to ${commitIndex}, but the log ends at ${view.lastIndex}`);
    assert(commitIndex >= view.firstIndex - 1, 'entries were dropped that are not committed');
    this.#view = view;
    this.#stableIndex = view.lastIndex;
    this.#handedOver = view.lastIndex;
    this.#commitIndex = commitIndex;
    this.#appliedIndex = appliedIndex;
  }

  get firstIndex(): LogIndex {
    return this.#view.firstIndex;
  }

  get lastIndex(): LogIndex {
    return LogIndex(this.#stableIndex + this.#unstable.length);
  }

  get lastTerm(): Term {
    return this.#knownTerm(this.lastIndex);
  }

  /** Up to here the log is durable on this replica. */
  get stableIndex(): LogIndex {
    return this.#stableIndex;
  }

  get commitIndex(): LogIndex {
    return this.#commitIndex;
  }

  /** Term of the entry at `commitIndex`. */
  get commitTerm(): Term {
    return this.#knownTerm(this.#commitIndex);
  }

  /** Committed and durable here. Nothing beyond is applied: after a crash the log reaches as far as the state machine. */
  get applicableIndex(): LogIndex {
    return this.#commitIndex < this.#stableIndex ? this.#commitIndex : this.#stableIndex;
  }

  /** The state machine has everything up to here. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** Whether all that is known to be committed is applied, and so the configuration that this replica knows the newest. */
  get isAllApplied(): boolean {
    return this.#appliedIndex === this.#commitIndex;
  }

  get hasEntriesToHandOver(): boolean {
    return this.#handedOver < this.lastIndex;
  }

  /** Term of the entry at `index`; undefined before `firstIndex - 1` and after `lastIndex`. */
  term(index: LogIndex): Term | undefined {
    if (index > this.#stableIndex) return this.#unstable[index - this.#stableIndex - 1]?.term;
    return this.#view.term(index);
  }

  /** Whether a log that ends like this has all that this one can have committed (section 5.4.1 of the Raft paper). */
  isUpToDate(lastLogIndex: LogIndex, lastLogTerm: Term): boolean {
    const lastTerm = this.lastTerm;
    return lastLogTerm > lastTerm || (lastLogTerm === lastTerm && lastLogIndex >= this.lastIndex);
  }

  /**
   * Some entries from `from` on, at least one, about `bytesMax` bytes of data at most. Undefined when the host has
   * them on disk only.
   */
  entriesFrom(from: LogIndex, bytesMax: number): readonly Entry[] | undefined {
    assert(from >= this.firstIndex && from <= this.lastIndex, `no entry at ${from}`);
    if (from <= this.#stableIndex) return this.#view.entries(from, this.#stableIndex, bytesMax);
    const begin = from - this.#stableIndex - 1;
    let end = begin + 1;
    let bytes = this.#unstable[begin].data.length;
    while (end < this.#unstable.length) {
      bytes += this.#unstable[end].data.length;
      if (bytes > bytesMax) break;
      end++;
    }
    return this.#unstable.slice(begin, end);
  }

  /** A leader's new entry. */
  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, 'a new entry must follow the last');
    this.#unstable.push(entry);
  }

  /**
   * Takes in what a leader sent, which follows an entry that matches. Entries that are here already stay, with all
   * that follows them: only a real conflict removes entries, a delayed shorter append does not.
   */
  merge(entries: readonly Entry[]): void {
    for (let i = 0; i < entries.length; i++) {
      if (this.term(entries[i].index) === entries[i].term) continue;
      this.#replaceFrom(entries[i].index);
      for (const entry of i === 0 ? entries : entries.slice(i)) this.append(entry);
      return;
    }
  }

  #replaceFrom(index: LogIndex): void {
    assert(index > this.#commitIndex, `entry ${index} is committed and must not be replaced`);
    const before = LogIndex(index - 1);
    if (before < this.#stableIndex) this.#stableIndex = before;
    if (before < this.#handedOver) this.#handedOver = before;
    this.#unstable.length = before - this.#stableIndex;
  }

  /**
   * The last index at or before `index` whose term is not above `term`: the best guess of where two logs match, for
   * whole terms at a time. Stops where terms are no longer known.
   */
  lastIndexOfTermAtMost(index: LogIndex, term: Term): LogIndex {
    let at: number = index < this.lastIndex ? index : this.lastIndex;
    while (at > 0) {
      const here = this.term(LogIndex(at));
      if (here === undefined || here <= term) break;
      at--;
    }
    return LogIndex(at);
  }

  /** Raises the commit index; a lower one has no effect. */
  commitTo(index: LogIndex): void {
    if (index <= this.#commitIndex) return;
    assert(index <= this.lastIndex, `commit index ${index} is beyond the last entry ${this.lastIndex}`);
    this.#commitIndex = index;
  }

  appliedTo(index: LogIndex): void {
    assert(index >= this.#appliedIndex, 'the applied index goes back');
    assert(index <= this.applicableIndex, `entry ${index} was applied before it was committed and durable`);
    this.#appliedIndex = index;
  }

  /** The host has put a snapshot as of `index` in place: the view begins after it, and all that was here is gone. */
  restored(index: LogIndex, term: Term): void {
    assert(index > this.#commitIndex, 'a snapshot takes committed entries back');
    const isEmpty = this.#view.firstIndex === index + 1 && this.#view.lastIndex === index;
    assert(isEmpty && this.#view.term(index) === term, `the log does not begin after the snapshot of entry ${index}`);
    this.#unstable = [];
    this.#stableIndex = index;
    this.#handedOver = index;
    this.#commitIndex = index;
    this.#appliedIndex = index;
  }

  /** The entries that no `Ready` carried yet; from now on the view has them. */
  handOver(): readonly Entry[] {
    const entries = this.#unstable.slice(this.#handedOver - this.#stableIndex);
    this.#handedOver = this.lastIndex;
    return entries;
  }

  /** The log up to this entry is durable. No effect when the entry was replaced since, or is known to be durable. */
  stableTo(index: LogIndex, term: Term): void {
    if (index <= this.#stableIndex || this.term(index) !== term) return;
    assert(index <= this.#handedOver, 'an entry became durable that was never handed over');
    this.#unstable = this.#unstable.slice(index - this.#stableIndex);
    this.#stableIndex = index;
  }

  #knownTerm(index: LogIndex): Term {
    return defined(this.term(index), `the term of entry ${index}`);
  }
}
