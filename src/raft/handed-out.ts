/** What the host was given in `Ready`s so far, and what of that is durable. */
import { assert } from '../base/assert.js';
import type { LogIndex } from '../base/ids.js';
import type { HardState, SoftState } from './types.js';

/** The part of a `Ready` that depends on earlier ones. */
export interface Handed {
  readonly hardState: HardState | undefined;
  readonly softState: SoftState | undefined;
  readonly mustSync: boolean;
  /** See `SyncPoint.sequence`. */
  readonly sequence: number;
}

export class HandedOut {
  #hardState: HardState;
  #softState: SoftState;
  /** The commit index that is durable, or will be with what was handed over to be. */
  #keptCommit: LogIndex;
  /** The commit index must be durable up to here. */
  #commitToKeep: LogIndex;
  #syncsAsked = 0;
  #syncsDone = 0;

  constructor(hardState: HardState, softState: SoftState) {
    this.#hardState = hardState;
    this.#softState = softState;
    this.#keptCommit = this.#commitToKeep = hardState.commit;
  }

  /** That everything up to `index` is committed must be durable soon, even if nothing else is to be. */
  keepCommit(index: LogIndex): void {
    this.#commitToKeep = index;
  }

  get #owesCommit(): boolean {
    return this.#commitToKeep > this.#keptCommit;
  }

  /** Whether all that was handed over to be made durable is. */
  get settled(): boolean {
    return this.#syncsDone === this.#syncsAsked;
  }

  isNews(hardState: HardState, softState: SoftState): boolean {
    const areEqual = equalHardStates(this.#hardState, hardState) && equalSoftStates(this.#softState, softState);
    return !areEqual || this.#owesCommit;
  }

  hand(hardState: HardState, softState: SoftState, hasEntries: boolean): Handed {
    const before = this.#hardState;
    const owesCommit = this.#owesCommit;
    const mustSync = hasEntries || owesCommit || hardState.term !== before.term || hardState.vote !== before.vote;
    const handed: Handed = {
      hardState: equalHardStates(before, hardState) && !owesCommit ? undefined : hardState,
      softState: equalSoftStates(this.#softState, softState) ? undefined : softState,
      mustSync,
      sequence: mustSync ? ++this.#syncsAsked : 0,
    };
    this.#hardState = hardState;
    this.#softState = softState;
    if (mustSync) this.#keptCommit = hardState.commit;
    return handed;
  }

  /** The host reports a sync. Returns false when that says nothing new. */
  synced(sequence: number): boolean {
    if (sequence <= this.#syncsDone) return false;
    assert(sequence <= this.#syncsAsked, 'a sync was reported that was never asked for');
    this.#syncsDone = sequence;
    return true;
  }
}

function equalHardStates(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit;
}

function equalSoftStates(a: SoftState, b: SoftState): boolean {
  return a.role === b.role && a.term === b.term && a.leader === b.leader;
}
