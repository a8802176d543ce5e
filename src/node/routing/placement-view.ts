/**
 * What the placement group has decided, as this node knows it: read anew from the node's replica of the group after
 * each change. A change that comes while one is being read is read right after.
 */
import { QuorateError } from '../../base/errors.js';
import { emptyPlacementState, loadPlacementState } from '../../placement/placement-state.js';
import type { PlacementState } from '../../placement/placement-state.js';
import type { Replica } from '../../shard/replica.js';

/** The placement group's replica on this node, as far as it is used here. */
export interface ViewedReplica extends Pick<Replica, 'onApplied'> {
  readonly machine: Parameters<typeof loadPlacementState>[0];
}

export class PlacementView {
  readonly #replica: ViewedReplica;
  readonly #onChange: (state: PlacementState) => void;
  readonly #onFailure: (error: unknown) => void;
  #state: PlacementState = emptyPlacementState;
  /** The read under way. */
  #reading: Promise<void> | undefined;
  #isOutdated = false;
  #closed = false;

  constructor(
    replica: ViewedReplica,
    on: { change: (state: PlacementState) => void; failure: (error: unknown) => void },
  ) {
    this.#replica = replica;
    this.#onChange = on.change;
    this.#onFailure = on.failure;
    replica.onApplied(() => void this.load().catch(this.#onFailure));
  }

  get state(): PlacementState {
    return this.#state;
  }

  /**
   * Resolves when all that the replica holds now has been read; also after a restart, before anything is applied. Without effect once
   * this is closed.
   */
  load(): Promise<void> {
    this.#isOutdated = !this.#closed;
    this.#reading ??= this.#readUntilCurrent();
    return this.#reading;
  }

  /** The replica goes, and its tree is closed: another one may come, with a view of its own. */
  close(): void {
    this.#closed = true;
    this.#isOutdated = false;
  }

  /**
   * Undefined where a much newer state took the place of the one that was being read (a Raft snapshot), which is to be read anew; and
   * where this was closed: then nothing that a read of the closed tree ends with means anything.
   */
  async #read(): Promise<PlacementState | undefined> {
    try {
      return await loadPlacementState(this.#replica.machine);
    } catch (error) {
      if (this.#closed) return undefined;
      if (!(error instanceof QuorateError) || error.code !== 'READ_TOO_OLD') throw error;
      this.#isOutdated = true;
      return undefined;
    }
  }

  /** Ends in the turn of the look at `#isOutdated` that found nothing: a change after that begins the next read. */
  async #readUntilCurrent(): Promise<void> {
    try {
      while (this.#isOutdated) {
        this.#isOutdated = false;
        const state = await this.#read();
        if (state === undefined) continue;
        this.#state = state;
        this.#onChange(state);
      }
    } finally {
      this.#reading = undefined;
    }
  }
}
