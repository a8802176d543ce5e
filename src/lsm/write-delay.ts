/**
 * How much writes are held back while flushes and compactions are behind: a pure function. Each backlog presses by where
 * it is between two limits, from 0 to 1. Writes may come at `drain * (1 - pressure) / pressure`: without bound at
 * first, as fast as the backlog drains when it is half way, hardly at all near the end. So there is a backlog at which
 * writes come as fast as they are worked off, whatever the machine can do, and writers meet no cliff on the way to it.
 */
import { assert, unreachable } from '../base/assert.js';

export interface Backlog {
  /** In units of its own. */
  readonly used: number;
  /** Writes slow down above this. */
  readonly slowFrom: number;
  /** Writes stop here. */
  readonly stopAt: number;
  /** Bytes of writes that are worked off in a millisecond; undefined while that was not measured: no delay. */
  readonly drainBytesPerMs: number | undefined;
}

export type WriteDelay =
  | { readonly type: 'none' }
  /** A byte that was written costs its writer this much time. */
  | { readonly type: 'delay'; readonly msPerByte: number }
  | { readonly type: 'stop' };

/** The longest of the delays that these backlogs ask for. */
export function writeDelay(backlogs: readonly Backlog[]): WriteDelay {
  let msPerByte = 0;
  for (const backlog of backlogs) {
    const pressure = pressureOf(backlog);
    if (pressure >= 1) return { type: 'stop' };
    if (pressure > 0 && backlog.drainBytesPerMs !== undefined) {
      msPerByte = Math.max(msPerByte, pressure / (1 - pressure) / backlog.drainBytesPerMs);
    }
  }
  return msPerByte === 0 ? { type: 'none' } : { type: 'delay', msPerByte };
}

function pressureOf({ used, slowFrom, stopAt }: Backlog): number {
  if (used >= stopAt) return 1;
  if (used <= slowFrom) return 0;
  return (used - slowFrom) / (stopAt - slowFrom);
}

/** After that much more work a measurement counts half. */
const halfLifeMs = 4000;

/** How fast something went lately. */
export class DrainRate {
  #bytes = 0;
  #ms = 0;

  add(bytes: number, ms: number): void {
    assert(bytes >= 0 && ms >= 0, 'work takes time');
    const rest = halfLifeMs / (halfLifeMs + ms);
    this.#bytes = this.#bytes * rest + bytes;
    this.#ms = this.#ms * rest + ms;
  }

  /** Undefined before anything was measured. */
  get bytesPerMs(): number | undefined {
    return this.#bytes > 0 && this.#ms > 0 ? this.#bytes / this.#ms : undefined;
  }
}

/** Time that a writer owes for what it wrote, after it wrote `bytes` more; never more than `owedMsMax`. */
export function owedMs(before: number, bytes: number, delay: WriteDelay, owedMsMax: number): number {
  switch (delay.type) {
    case 'none':
    case 'stop':
      return before;
    case 'delay':
      return Math.min(before + bytes * delay.msPerByte, owedMsMax);
    default:
      return unreachable(delay);
  }
}
