/**
 * ReadIndex (section 6.4 of Ongaro's dissertation), in rounds: all reads that arrive between two `Ready`s share one.
 * A round begins when its heartbeats are created; only answers to it or to a later round prove that this replica was
 * still the leader after the reads arrived. Round numbers are never used twice by one `Raft`, and answers count for
 * the term in which they were asked only.
 */
import { assert } from '../base/assert.js';
import type { LogIndex } from '../base/ids.js';
import type { ReadState } from './types.js';

interface Round extends ReadState {
  /** As it was given to `begin`. */
  readonly begunMs: number;
}

export class ReadRounds {
  readonly #unconfirmedMax: number;
  #begun = 0;
  #requested = false;
  #unconfirmed: Round[] = [];
  #confirmed: ReadState[] = [];
  #lost = false;

  /** @param unconfirmedMax with so many rounds under way, the next one waits. */
  constructor(unconfirmedMax: number) {
    this.#unconfirmedMax = unconfirmedMax;
  }

  /** Returns the round that will answer a read that arrives now. */
  request(): number {
    this.#requested = true;
    return this.#begun + 1;
  }

  /** Whether a round was asked for and may begin. */
  get due(): boolean {
    return this.#requested && this.#unconfirmed.length < this.#unconfirmedMax;
  }

  /** The round is answered with the state at `commitIndex`, once it is confirmed. */
  begin(commitIndex: LogIndex, begunMs: number): void {
    assert(this.due, 'a round begins that nobody asked for');
    this.#requested = false;
    this.#begun++;
    this.#unconfirmed.push({ round: this.#begun, index: commitIndex, begunMs });
  }

  /** Whether a quorum has answered this round or a later one. */
  isConfirmed(round: number): boolean {
    return round <= this.#begun && this.#unconfirmed.every((unconfirmed) => unconfirmed.round > round);
  }

  /** The newest round that began. */
  get newest(): number {
    return this.#begun;
  }

  /** What heartbeats ask for: the newest round if it is not confirmed, or 0. */
  get asked(): number {
    return this.#unconfirmed.length > 0 ? this.#begun : 0;
  }

  /**
   * A quorum answered `round` or later ones: this confirms it and all earlier rounds. Returns when the newest of them
   * began; undefined when there was none.
   */
  confirm(round: number): number | undefined {
    let confirmed = 0;
    while (confirmed < this.#unconfirmed.length && this.#unconfirmed[confirmed].round <= round) confirmed++;
    const rounds = this.#unconfirmed.splice(0, confirmed);
    for (const { round, index } of rounds) this.#confirmed.push({ round, index });
    return rounds.at(-1)?.begunMs;
  }

  /** Leadership is lost; a round that was asked for and did not begin keeps its number, which is not given out again. */
  lose(): void {
    if (this.#requested) this.#begun++;
    this.#requested = false;
    this.#unconfirmed = [];
    this.#lost = true;
  }

  get hasNews(): boolean {
    return this.#lost || this.#confirmed.length > 0;
  }

  takeNews(): { readonly readStates: readonly ReadState[]; readonly readsLost: boolean } {
    const news = { readStates: this.#confirmed, readsLost: this.#lost };
    this.#confirmed = [];
    this.#lost = false;
    return news;
  }
}
