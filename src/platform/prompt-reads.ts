/** What a read takes that the operating system answers from memory is a tenth of this. */
const promptMsMax = 0.05;

/** Reads of one turn of the event loop together; then the rest of the turn's reads wait in the thread pool. */
const turnMsMax = 2;

/** Part of the time that slow reads may take on average, and how far they may be ahead of that. */
const slowShare = 1 / 10;
const slowMsAhead = 10;

/**
 * Decides whether a read may be made in the calling thread. It costs a fifth of a read through the thread pool, but
 * nothing else happens meanwhile, ticks included, and Node cannot say beforehand whether a read will wait for a device.
 * So the last reads say it:
 *
 * - One that took longer than memory does is slow: the disk was asked, most likely. Slow ones may take a tenth of the
 *   time, and 10 ms more; a read that hangs for a second is the only one for the next ten.
 * - All those of a turn may take 2 ms, and one read more: then the thread pool makes the turn end.
 *
 * One for each disk, since what holds for one of its files holds for the others. Why:
 * docs/decisions/2026-11-21-reads-in-the-calling-thread.md.
 */
export class PromptReads {
  readonly #nowMs: () => number;
  readonly #endOfTurn: (callback: () => void) => void;
  /** By how much slow reads were ahead of their share, and when. */
  #aheadMs = 0;
  #aheadAtMs = 0;
  #turnMs = 0;
  #knowsTurn = false;

  constructor(time: { readonly nowMs: () => number; readonly endOfTurn: (callback: () => void) => void }) {
    this.#nowMs = time.nowMs;
    this.#endOfTurn = time.endOfTurn;
  }

  /** What `read` returns; undefined, without calling it, when no read may be made now. */
  run<T>(read: () => T): T | undefined {
    if (this.#turnMs >= turnMsMax) return undefined;
    const startMs = this.#nowMs();
    if (this.#aheadMs > 0) {
      this.#aheadMs = Math.max(0, this.#aheadMs - (startMs - this.#aheadAtMs) * slowShare);
      this.#aheadAtMs = startMs;
      if (this.#aheadMs >= slowMsAhead) return undefined;
    }
    try {
      return read();
    } finally {
      this.#took(startMs, this.#nowMs());
    }
  }

  #took(startMs: number, endMs: number): void {
    const tookMs = endMs - startMs;
    this.#turnMs += tookMs;
    if (tookMs > promptMsMax) {
      this.#aheadMs += tookMs;
      this.#aheadAtMs = endMs;
    }
    if (this.#knowsTurn) return;
    this.#knowsTurn = true;
    this.#endOfTurn(this.#onEndOfTurn);
  }

  readonly #onEndOfTurn = (): void => {
    this.#knowsTurn = false;
    this.#turnMs = 0;
  };
}
