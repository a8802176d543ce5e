/**
 * What the placement group has decided, as this node knows it: read anew from the node's replica of the group after
 * each change. A change that comes while one is being read is read right after.
 */
import { emptyPlacementState, loadPlacementState } from '../placement/placement-state.js';
import type { PlacementState } from '../placement/placement-state.js';
import type { Replica } from '../shard/replica.js';

export class PlacementView {
  readonly #replica: Replica;
  readonly #onChange: (state: PlacementState) => void;
  readonly #onFailure: (error: unknown) => void;
  #state: PlacementState = emptyPlacementState;
  #reading = false;
  #changedMeanwhile = false;

  constructor(replica: Replica, on: { change: (state: PlacementState) => void; failure: (error: unknown) => void }) {
    this.#replica = replica;
    this.#onChange = on.change;
    this.#onFailure = on.failure;
    replica.onApplied(() => this.#refresh());
  }

  get state(): PlacementState {
    return this.#state;
  }

  /** Reads what the replica holds from before a restart. */
  async load(): Promise<void> {
    this.#state = await loadPlacementState(this.#replica.machine);
    this.#onChange(this.#state);
  }

  #refresh(): void {
    this.#changedMeanwhile = true;
    if (this.#reading) return;
    this.#reading = true;
    this.#readUntilCurrent()
      .catch(this.#onFailure)
      .finally(() => {
        this.#reading = false;
      });
  }

  async #readUntilCurrent(): Promise<void> {
    while (this.#changedMeanwhile) {
      this.#changedMeanwhile = false;
      await this.load();
    }
  }
}
