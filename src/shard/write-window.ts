import type { Limits } from '../base/limits.js';
import { operationOverheadBytesMax } from '../mvcc/operation-bytes.js';

/** Even the slowest shard takes in so many small writes: fewer would say nothing about how fast it is. */
const smallWritesMin = 32;
const bytesMin = smallWritesMin * operationOverheadBytesMax;

/** Of the window, at a time. */
const growthMax = 2;

/** When a write arrived. */
export interface WriteArrival {
  readonly ms: number;
  /** Bytes of writes that had been done by then. */
  readonly doneBytes: number;
}

/**
 * How much a shard takes in: as much as it does within `writeWaitMsTarget`, which is what the last write has to wait (Little's
 * law). A queue that is longer makes nothing faster, and its callers give up before their turn. It is counted in bytes of entries,
 * of which each write takes some hundreds besides its key and value: so it means about the same time for small and for large
 * values (docs/decisions/2026-11-22-write-window.md).
 *
 * What is done while a batch waits says how fast the shard is, at least. If that was longer than the target, the window is no more
 * than what is done within it; all that was in flight when it shrinks shows the same rate, so it does not shrink twice for one
 * reason. If it was shorter the window grows, in the same measure. A batch that came before it last grew says nothing of what it
 * is now: without this, many in flight would make it far too large before the first has waited for that.
 */
export class WriteWindow {
  readonly #waitMsTarget: number;
  readonly #bytesAtRest: number;
  #bytes: number;
  #doneBytes = 0;
  #grownAtMs = -Infinity;

  constructor(limits: Pick<Limits, 'writeWaitMsTarget' | 'requestBytesMax' | 'batchOperationsMax'>) {
    this.#waitMsTarget = limits.writeWaitMsTarget;
    this.#bytesAtRest = limits.requestBytesMax + limits.batchOperationsMax * operationOverheadBytesMax;
    this.#bytes = this.#bytesAtRest;
  }

  /** Of writes that may wait or run at a time. */
  get bytes(): number {
    return this.#bytes;
  }

  arrived(nowMs: number): WriteArrival {
    return { ms: nowMs, doneBytes: this.#doneBytes };
  }

  /** A batch of so many bytes is done, of which the oldest write came at `since`. */
  done(bytes: number, since: WriteArrival, nowMs: number): void {
    this.#doneBytes += bytes;
    const waitedMs = nowMs - since.ms;
    const targetPerWait = this.#waitMsTarget / waitedMs;
    const within = Math.floor((this.#doneBytes - since.doneBytes) * targetPerWait);
    if (waitedMs > this.#waitMsTarget) {
      this.#bytes = Math.min(this.#bytes, Math.max(within, bytesMin));
    } else if (since.ms >= this.#grownAtMs) {
      const grown = Math.ceil(this.#bytes * Math.min(growthMax, targetPerWait));
      this.#bytes = Math.max(this.#bytes, Math.min(grown, Math.max(within, this.#bytesAtRest)));
      this.#grownAtMs = nowMs;
    }
  }
}
