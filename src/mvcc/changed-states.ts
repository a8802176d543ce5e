import { mapKey } from '../base/bytes.js';
import { keyPrefix } from './keyspace.js';
import type { OperationResult, VersionedValue } from './operations.js';
import type { Effect } from './write-batch-format.js';

/** The newest state of a key: undefined `value` is a key that is absent. */
export interface KeyState {
  readonly value: VersionedValue | undefined;
  /**
   * Only of a bucket of request records: the answers to requests that were refused, by their seq, with what conditions met. Of
   * those that were answered since nothing of the bucket was in flight; it has few requests.
   */
  readonly refusals?: ReadonlyMap<number, OperationResult> | undefined;
}

export const absent: KeyState = { value: undefined };

/**
 * The states that one evaluation leaves behind, by `mapKey` of the raw key. Most user keys are written once and never looked for
 * while they are in flight: what becomes of them is only noted, and put in order when somebody looks for one.
 */
export class ChangedStates {
  readonly #states = new Map<string, KeyState>();
  /** Of user keys, oldest first. */
  readonly #userEffects: Effect[] = [];
  /** So many of them are in `#states`. */
  #indexed = 0;

  /** Of a user key. */
  noteUser(effect: Effect): void {
    this.#userEffects.push(effect);
  }

  /** Of a key that is no user key. */
  set(key: string, state: KeyState): void {
    this.#states.set(key, state);
  }

  get(key: string): KeyState | undefined {
    if (key.charCodeAt(0) === keyPrefix.user) this.#index();
    return this.#states.get(key);
  }

  #index(): void {
    while (this.#indexed < this.#userEffects.length) {
      const effect = this.#userEffects[this.#indexed++];
      this.#states.set(mapKey(effect.key), stateAfter(effect));
    }
  }
}

function stateAfter(effect: Effect): KeyState {
  return effect.type === 'put' ? { value: { version: effect.version, value: effect.value } } : absent;
}
