/**
 * What a leader knows about one follower's log, and what it may send next.
 *
 * - `probe`: where the logs match is a guess; one append at a time, then wait for an answer or a sign of life.
 * - `replicate`: they match; appends are pipelined, up to a window of unanswered ones.
 * - `snapshot`: the follower needs entries that the leader's log no longer has; nothing is sent but, by the host, a snapshot.
 *
 * Invariants: `matchIndex < nextIndex`; `matchIndex` never goes back (in one leadership); the window holds ascending
 * indexes below `nextIndex`.
 */
import { assert } from '../base/assert.js';
import { LogIndex } from '../base/ids.js';
import type { RaftOptions } from './options.js';

export type ProgressState =
  | { readonly type: 'probe'; waiting: boolean }
  | { readonly type: 'replicate'; readonly window: LogIndex[]; lossCheckDue: boolean }
  | { readonly type: 'snapshot'; isAsked: boolean };

/**
 * What to send now. `entries`: from `nextIndex` on. `empty`: an append without entries, which carries the commit index
 * and finds out whether the follower has all that was sent.
 */
export type NextAppend = 'nothing' | 'entries' | 'empty';

/** Quorum checks, one for each shortest election timeout: 10 s with the default timing. */
const awayChecks = 20;

type ProgressOptions = Pick<RaftOptions, 'appendsInFlightMax' | 'commitNoticeTicks'>;

export class Progress {
  readonly #windowMax: number;
  readonly #commitNoticeTicks: number;
  #matchIndex = LogIndex(0);
  #nextIndex: LogIndex;
  #state: ProgressState = { type: 'probe', waiting: false };
  /** The highest commit index that the follower can have learned from what was sent. */
  #commitSent = LogIndex(0);
  #ticksSinceSent = 0;
  /** Since when the host reads entries from its disk for this follower. */
  #logRead: { readonly from: LogIndex; ticks: number } | undefined;
  /** The snapshot that is on its way to the follower, or was delivered and is not acknowledged; 0 is none. */
  #pinnedIndex = LogIndex(0);
  /** The newest ReadIndex round that the follower answered. */
  #readRound = 0;
  /** The probe of the follower's newest answer. */
  #probe = 0;

  /** Heard of since the last quorum check. */
  active = true;
  /** Quorum checks that found it silent, since it was heard of last. */
  #silentChecks = 0;
  /** The host says that its node cannot be reached. */
  #isSuspected = false;
  #isReachable = true;

  constructor(nextIndex: LogIndex, { appendsInFlightMax, commitNoticeTicks }: ProgressOptions) {
    this.#nextIndex = nextIndex;
    this.#windowMax = appendsInFlightMax;
    this.#commitNoticeTicks = commitNoticeTicks;
  }

  /** The follower's log is durable and equal to the leader's up to here. */
  get matchIndex(): LogIndex {
    return this.#matchIndex;
  }

  get nextIndex(): LogIndex {
    return this.#nextIndex;
  }

  get stateType(): ProgressState['type'] {
    return this.#state.type;
  }

  /** The follower will go on after this snapshot: entries after it must stay in the log. 0 when there is none. */
  get pinnedIndex(): LogIndex {
    return this.#pinnedIndex;
  }

  /** Unanswered appends with entries. */
  get appendsInFlight(): number {
    return this.#state.type === 'replicate' ? this.#state.window.length : 0;
  }

  get readRound(): number {
    return this.#readRound;
  }

  get probe(): number {
    return this.#probe;
  }

  nextAppend(lastIndex: LogIndex, commitIndex: LogIndex): NextAppend {
    if (this.#logRead !== undefined) return 'nothing';
    const hasEntries = this.#nextIndex <= lastIndex;
    const commitDue = this.#commitSent < Math.min(commitIndex, this.#nextIndex - 1);
    switch (this.#state.type) {
      case 'probe':
        if (this.#state.waiting) return 'nothing';
        if (hasEntries) return 'entries';
        // Of a new member nothing is known: it may have none of the entries before the next one.
        return commitDue || this.#matchIndex < this.#nextIndex - 1 ? 'empty' : 'nothing';
      case 'replicate':
        if (hasEntries && this.#state.window.length < this.#windowMax) return 'entries';
        if (this.#state.lossCheckDue) return 'empty';
        // The next append or the next acknowledgement takes the commit index along.
        if (!commitDue || this.#ticksSinceSent < this.#commitNoticeTicks) return 'nothing';
        return this.#state.window.length === 0 ? 'empty' : 'nothing';
      case 'snapshot':
        return 'nothing';
    }
  }

  /** An append left that follows `nextIndex - 1` and ends at `last` (`nextIndex - 1` when it is empty). */
  sent(last: LogIndex, commitIndex: LogIndex): void {
    assert(last >= this.#nextIndex - 1, 'an append was sent that does not begin at nextIndex');
    this.#ticksSinceSent = 0;
    const commitCarried = commitIndex < last ? commitIndex : last;
    if (this.#commitSent < commitCarried) this.#commitSent = commitCarried;
    if (this.#state.type === 'probe') {
      this.#state.waiting = true;
    } else if (this.#state.type === 'replicate') {
      this.#state.lossCheckDue = false;
      if (last >= this.#nextIndex) {
        assert(this.#state.window.length < this.#windowMax, 'an append was sent beyond the window');
        this.#state.window.push(last);
        this.#nextIndex = LogIndex(last + 1);
      }
    }
  }

  /** The follower acknowledged everything up to `index`. The leader's log begins at `firstIndex`. */
  accepted(index: LogIndex, firstIndex: LogIndex): void {
    if (index < this.#matchIndex) return;
    this.#matchIndex = index;
    if (this.#nextIndex <= index) this.#nextIndex = LogIndex(index + 1);
    if (this.#pinnedIndex <= index) this.#pinnedIndex = LogIndex(0);
    switch (this.#state.type) {
      case 'snapshot':
        if (index + 1 < firstIndex) break;
        this.becomeProbe();
        this.#state = { type: 'replicate', window: [], lossCheckDue: false };
        break;
      case 'probe':
        this.#nextIndex = LogIndex(index + 1);
        this.#logRead = undefined;
        this.#state = { type: 'replicate', window: [], lossCheckDue: false };
        break;
      case 'replicate': {
        const { window } = this.#state;
        let answered = 0;
        while (answered < window.length && window[answered] <= index) answered++;
        window.splice(0, answered);
        if (this.#logRead !== undefined && this.#logRead.from !== this.#nextIndex) this.#logRead = undefined;
        break;
      }
    }
  }

  /**
   * The follower refused an append that followed `index`; `hint` is the best guess of where the logs match. Late
   * answers are recognised and have no effect.
   */
  rejected(index: LogIndex, hint: LogIndex): void {
    if (index <= this.#matchIndex) return;
    if (this.#state.type === 'replicate') {
      this.becomeProbe();
    } else if (this.#state.type === 'probe' && index === this.#nextIndex - 1) {
      this.#nextIndex = LogIndex(Math.max(Math.min(index, hint + 1), this.#matchIndex + 1));
      this.becomeProbe(this.#nextIndex);
    }
  }

  /** The follower lives: what was sent before and not answered may be lost, so find out. */
  heartbeatAnswered(readRound: number, probe: number): void {
    this.#probe = probe;
    if (this.#readRound < readRound) this.#readRound = readRound;
    if (this.#state.type === 'probe') this.#state.waiting = false;
    else if (this.#state.type === 'replicate') this.#state.lossCheckDue = this.#matchIndex < this.#nextIndex - 1;
  }

  /** Heard of since the quorum check before the last: unlike `active` not false for a moment after each check. */
  get isAlive(): boolean {
    return this.#isReachable && (this.active || this.#silentChecks === 0);
  }

  /** Not heard of for so long that it will hardly be back in a moment, as from a pause or a broken connection. */
  get isAway(): boolean {
    return this.#silentChecks >= awayChecks;
  }

  /** Its node can be reached, as the host said or the follower itself has shown since. */
  get isReachable(): boolean {
    return this.#isReachable;
  }

  /** See `Raft.peerUnreachable`: what was in flight is lost. */
  suspect(): void {
    this.#isSuspected = true;
    this.#isReachable = false;
    if (this.#state.type === 'replicate') this.becomeProbe();
  }

  trust(): void {
    this.#isSuspected = false;
    this.#isReachable = true;
  }

  /** The follower has sent something. */
  heard(): void {
    this.active = true;
    this.#silentChecks = 0;
    this.#isReachable = true;
  }

  /** The leader has checked its quorum, and listens anew. */
  quorumChecked(): void {
    if (!this.active) this.#silentChecks++;
    if (this.#isSuspected && !this.active) this.#isReachable = false;
    this.active = false;
  }

  /** The group becomes quiet without it: from now on nobody counts its silence, so it is away until it is heard of. */
  leftBehind(): void {
    this.#silentChecks = awayChecks;
  }

  becomeProbe(nextIndex: LogIndex = LogIndex(this.#matchIndex + 1)): void {
    this.#state = { type: 'probe', waiting: false };
    this.#nextIndex = nextIndex;
    if (this.#commitSent >= nextIndex) this.#commitSent = LogIndex(nextIndex - 1);
    this.#logRead = undefined;
  }

  becomeSnapshot(): void {
    this.#state = { type: 'snapshot', isAsked: false };
    this.#logRead = undefined;
  }

  /** Whether the host has to be asked for a snapshot. */
  get isSnapshotDue(): boolean {
    return this.#state.type === 'snapshot' && !this.#state.isAsked;
  }

  snapshotAsked(): void {
    assert(this.#state.type === 'snapshot', 'a snapshot for a follower that needs none');
    this.#state.isAsked = true;
  }

  /** A snapshot as of `index` begins to be sent. Returns false when the follower does not need it (any more). */
  snapshotBegun(index: LogIndex): boolean {
    if (this.#state.type !== 'snapshot' || index <= this.#matchIndex) return false;
    this.#pinnedIndex = index;
    return true;
  }

  /** All of it was delivered, or it will not be. What follows waits for an answer or a sign of life. */
  snapshotEnded(delivered: boolean): void {
    if (this.#state.type !== 'snapshot') return;
    if (!delivered) this.#pinnedIndex = LogIndex(0);
    this.becomeProbe(LogIndex(Math.max(this.#pinnedIndex, this.#matchIndex) + 1));
    this.#state = { type: 'probe', waiting: true };
  }

  /** The host was asked to read entries from `nextIndex` on; nothing is sent meanwhile. */
  logReadStarted(): void {
    this.#logRead = { from: this.#nextIndex, ticks: 0 };
  }

  /** Whether entries that begin at `index` are what this follower waits for. Ends the wait if so. */
  logReadFinished(index: LogIndex): boolean {
    if (this.#logRead?.from !== index) return false;
    this.#logRead = undefined;
    return true;
  }

  /** A read that takes longer than `timeoutTicks` is forgotten, and asked for again. */
  tick(timeoutTicks: number): void {
    this.#ticksSinceSent++;
    if (this.#logRead !== undefined && ++this.#logRead.ticks >= timeoutTicks) this.#logRead = undefined;
  }
}
