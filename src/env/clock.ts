/** Time, as everything below `node/` sees it. Simulated time moves only when the simulator says so. */
export interface Clock {
  /** Milliseconds that never go back; the zero means nothing. Fractions allowed. */
  monotonicMs(): number;
  /** Microseconds since 1970 by the wall clock, whole; may jump either way. Only the timestamp oracle uses it. */
  wallMicros(): number;
  /** Calls `callback` once, after at least `delayMs`. */
  after(delayMs: number, callback: () => void): Timer;
  /**
   * Calls `callback` when the current turn of the event loop is over: what the turn gathered is then handled together.
   */
  endOfTurn(callback: () => void): void;
}

export interface Timer {
  /** No effect if it has fired or was cancelled. */
  cancel(): void;
}
