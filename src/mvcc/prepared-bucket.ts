import { mapKey } from '../base/bytes.js';
import type { Timestamp } from '../base/ids.js';
import type { KeyState } from './changed-states.js';
import type { OperationResult, VersionedValue } from './operations.js';
import { RequestBucket, type RequestRecord } from './request-records.js';

/** A bucket of request records as an evaluation finds it, and moves it on. */
export class PreparedBucket {
  /** Raw, and the same for maps. */
  readonly key: Uint8Array;
  readonly mapKey: string;
  #records = new RequestBucket();
  #refusals: ReadonlyMap<number, OperationResult> | undefined;
  #isChanged = false;

  constructor(key: Uint8Array) {
    this.key = key;
    this.mapKey = mapKey(key);
  }

  /** What is stored or in flight; before anything else. */
  load({ value, refusals }: KeyState): void {
    if (value !== undefined) this.#records = new RequestBucket(value.value);
    this.#refusals = refusals;
  }

  get isChanged(): boolean {
    return this.#isChanged;
  }

  find(seq: number): RequestRecord | undefined {
    return this.#records.find(seq);
  }

  /** What a request that has a record was answered, if that is known: the record alone does not say what conditions met. */
  answer(seq: number, { version, outcome }: RequestRecord): OperationResult | undefined {
    switch (outcome.type) {
      case 'written':
        return { type: 'written', version };
      case 'nothingDeleted':
        return outcome;
      default:
        return this.#refusals?.get(seq);
    }
  }

  /** The answer to a request whose record says that conditions failed. */
  setRefusal(seq: number, refusal: OperationResult): void {
    this.#refusals = new Map(this.#refusals).set(seq, refusal);
  }

  add(seq: number, record: RequestRecord, answer: OperationResult): void {
    this.#records.add(seq, record);
    if (answer.type === 'conditionFailed' || answer.type === 'conditionsFailed') this.setRefusal(seq, answer);
    this.#isChanged = true;
  }

  /** What to store under `version`. */
  stateAt(version: Timestamp): KeyState & { readonly value: VersionedValue } {
    return { value: { version, value: this.#records.bytes }, refusals: this.#refusals };
  }
}
