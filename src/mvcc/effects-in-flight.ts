/**
 * Effects that were evaluated and are not yet applied, by raw key: later operations evaluate on top of them. Sound
 * because an entry cannot commit without those before it. Bounded by what the leader may have uncommitted
 * (`uncommittedBytesMax`).
 *
 * Entries in flight are few, since much waits for them before the next one begins; so a key is looked for in one after
 * the other, and nothing has to be done for each key when an entry comes or goes.
 *
 * Invariant: entries are applied in the order of their tickets.
 */
import { assert, defined } from '../base/assert.js';
import type { ChangedStates, KeyState } from './changed-states.js';

/** Counts the entries that one evaluator made, from 1. */
export type Ticket = number;

interface EntryInFlight {
  readonly ticket: Ticket;
  readonly states: ChangedStates;
}

export class EffectsInFlight {
  /** Oldest first. */
  readonly #entries: EntryInFlight[] = [];

  /** What the key will have when everything in flight is applied; undefined when nothing in flight touches it. */
  get(key: string): KeyState | undefined {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const state = this.#entries[i].states.get(key);
      if (state !== undefined) return state;
    }
    return undefined;
  }

  /** Number of entries in flight. */
  get entries(): number {
    return this.#entries.length;
  }

  /** The states that the entry `ticket` leaves behind. Owns `states`. */
  add(ticket: Ticket, states: ChangedStates): void {
    this.#entries.push({ ticket, states });
  }

  /** Takes the newest entry back: it will never be applied, and nothing was evaluated on top of it. */
  withdraw(ticket: Ticket): void {
    const { ticket: newest } = defined(this.#entries.pop(), 'the newest entry in flight');
    assert(newest === ticket, `entry ${ticket} is withdrawn, the newest is ${newest}`);
  }

  /** The oldest entry in flight is in the engine now. */
  applied(ticket: Ticket): void {
    const { ticket: oldest } = defined(this.#entries.shift(), 'the oldest entry in flight');
    assert(oldest === ticket, `entry ${ticket} was applied before entry ${oldest}`);
  }

  clear(): void {
    this.#entries.length = 0;
  }
}
