/**
 * Effects that were evaluated and are not yet applied, by raw key: later operations evaluate on top of them. Sound
 * because an entry cannot commit without those before it. Bounded by what the leader may have uncommitted
 * (`uncommittedBytesMax`).
 *
 * Invariant: entries are applied in the order of their tickets.
 */
import { assert, defined } from '../base/assert.js';
import type { OperationResult, VersionedValue } from './operations.js';

/** Counts the entries that one evaluator made, from 1. */
export type Ticket = number;

/** The newest state of a key: undefined `value` is a key that is absent. */
export interface KeyState {
  readonly value: VersionedValue | undefined;
  /** Only of a request record: the answer that it stands for. Costs little: who asked waits for it. */
  readonly answer?: OperationResult | undefined;
}

export const absent: KeyState = { value: undefined };

interface EntryInFlight {
  readonly ticket: Ticket;
  /** The keys that the entry changes, each with what was in flight for it before. */
  readonly changes: readonly { readonly key: string; readonly before: StateInFlight | undefined }[];
}

interface StateInFlight extends KeyState {
  readonly ticket: Ticket;
}

export class EffectsInFlight {
  readonly #states = new Map<string, StateInFlight>();
  #entries: EntryInFlight[] = [];
  /** Entries before this position are applied; the array is cut now and then. */
  #first = 0;

  /** What the key will have when everything in flight is applied; undefined when nothing in flight touches it. */
  get(key: string): KeyState | undefined {
    return this.#states.get(key);
  }

  /** Number of entries in flight. */
  get entries(): number {
    return this.#entries.length - this.#first;
  }

  /** The states that the entry `ticket` leaves behind. */
  add(ticket: Ticket, states: ReadonlyMap<string, KeyState>): void {
    const changes = [];
    for (const [key, { value, answer }] of states) {
      changes.push({ key, before: this.#states.get(key) });
      this.#states.set(key, { ticket, value, answer });
    }
    this.#entries.push({ ticket, changes });
  }

  /** Takes the newest entry back: it will never be applied, and nothing was evaluated on top of it. */
  withdraw(ticket: Ticket): void {
    assert(this.entries > 0, `nothing is in flight, yet entry ${ticket} is withdrawn`);
    const entry = defined(this.#entries.pop(), 'the newest entry in flight');
    assert(entry.ticket === ticket, `entry ${ticket} is withdrawn, the newest is ${entry.ticket}`);
    const oldest = this.entries > 0 ? this.#entries[this.#first].ticket : ticket;
    for (const { key, before } of entry.changes) {
      if (before !== undefined && before.ticket >= oldest) this.#states.set(key, before);
      else this.#states.delete(key);
    }
  }

  /** The oldest entry in flight is in the engine now. */
  applied(ticket: Ticket): void {
    assert(this.entries > 0, `nothing is in flight, yet entry ${ticket} was applied`);
    const entry = defined(this.#entries[this.#first], 'the oldest entry in flight');
    assert(entry.ticket === ticket, `entry ${ticket} was applied before entry ${entry.ticket}`);
    for (const { key } of entry.changes) if (this.#states.get(key)?.ticket === ticket) this.#states.delete(key);
    this.#first++;
    if (this.#first * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  clear(): void {
    this.#states.clear();
    this.#entries = [];
    this.#first = 0;
  }
}
