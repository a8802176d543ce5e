import { deferred, type Deferred } from '../base/promises.js';
import type { Clock, Timer } from '../env/clock.js';
import { WaitHistogram, type WaitClass } from './wait-histogram.js';
import { owedMs, writeDelay, type Backlog } from './write-delay.js';

/** Shorter debts are gathered: timers are no better than this. */
const pauseMsMin = 1;
/** Delays are decided anew after so many bytes: what a backlog is changes little meanwhile. */
const decideBytes = 4096;
/** Longest pause for one write; a backlog that grows all the same stops writes in the end. */
const pauseMsMax = 40;

/** Sums since the tree was opened. Time counts only while somebody waits. */
export interface WriteGateStats {
  /** Pauses that slowed writes down, and how long they were. */
  readonly writeDelays: number;
  readonly writeDelayMs: number;
  /** Times when no write was taken at all, and how long they were, with the one that lasts. */
  readonly stalls: number;
  readonly stallMs: number;
  /** Both kinds by their length, when they have ended. */
  readonly writeWaits: readonly WaitClass[];
}

interface Wait {
  readonly done: Deferred<void>;
  readonly reason: 'delay' | 'stop';
  readonly sinceMs: number;
}

/** Holds writes back as the backlogs ask: {@link writeDelay} with a clock and somebody who waits. */
export class WriteGate {
  readonly #clock: Clock;
  readonly #backlogs: () => readonly Backlog[];
  readonly #mustStop: () => boolean;
  /** Written since a delay was decided. */
  #bytes = 0;
  /** When the writer has paid for what it wrote. */
  #paidMs = 0;
  #wait: Wait | undefined;
  #timer: Timer | undefined;
  #end: Error | undefined;
  readonly #stats = { writeDelays: 0, writeDelayMs: 0, stalls: 0, stallMs: 0 };
  readonly #waits = new WaitHistogram();

  /** @param mustStop whether one of the backlogs is at its end: asked at every write, it must be cheap */
  constructor(clock: Clock, backlogs: () => readonly Backlog[], mustStop: () => boolean) {
    this.#clock = clock;
    this.#backlogs = backlogs;
    this.#mustStop = mustStop;
  }

  get stats(): WriteGateStats {
    const stalledMs = this.#wait?.reason === 'stop' ? this.#clock.monotonicMs() - this.#wait.sinceMs : 0;
    return { ...this.#stats, stallMs: this.#stats.stallMs + stalledMs, writeWaits: this.#waits.classes };
  }

  get isStopped(): boolean {
    return this.#mustStop();
  }

  wrote(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < decideBytes) return;
    const gathered = this.#bytes;
    this.#bytes = 0;
    const delay = writeDelay(this.#backlogs());
    if (delay.type !== 'delay') return;
    const nowMs = this.#clock.monotonicMs();
    this.#paidMs = nowMs + owedMs(Math.max(0, this.#paidMs - nowMs), gathered, delay, pauseMsMax);
  }

  /** See Tree.writeStall. Begins a wait where there is to be one, and counts it. */
  stall(): Promise<void> | undefined {
    this.update();
    if (this.#wait === undefined) {
      const reason = this.#reason();
      if (reason !== undefined) this.#begin(reason);
      if (reason === 'delay') this.#setTimer();
    }
    return this.#wait?.done.promise;
  }

  /** Backlogs have changed, or time has passed: ends a wait that is over. */
  update(): void {
    const wait = this.#wait;
    if (this.#end !== undefined || wait === undefined) return;
    if (wait.reason !== this.#reason()) this.#endWait(wait);
    else if (wait.reason === 'delay') this.#setTimer();
  }

  #setTimer(): void {
    // Whoever wrote without waiting has put off the time: the timer is set again when it has come.
    this.#timer ??= this.#clock.after(this.#paidMs - this.#clock.monotonicMs(), () => {
      this.#timer = undefined;
      this.update();
    });
  }

  #reason(): 'delay' | 'stop' | undefined {
    if (this.#mustStop()) return 'stop';
    if (this.#paidMs === 0) return undefined;
    return this.#paidMs - this.#clock.monotonicMs() >= pauseMsMin ? 'delay' : undefined;
  }

  #begin(reason: 'delay' | 'stop'): Deferred<void> {
    const done = deferred<void>();
    // Nobody may be waiting when it is rejected.
    done.promise.catch(() => undefined);
    if (reason === 'stop') this.#stats.stalls++;
    this.#wait = { done, reason, sinceMs: this.#clock.monotonicMs() };
    return done;
  }

  #endWait({ done, reason, sinceMs }: Wait): void {
    const ms = this.#clock.monotonicMs() - sinceMs;
    this.#waits.add(ms);
    if (reason === 'delay') {
      this.#stats.writeDelays++;
      this.#stats.writeDelayMs += ms;
    } else {
      this.#stats.stallMs += ms;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wait = undefined;
    done.resolve();
  }

  /** No write will ever be taken again: whoever waits, or asks later, is told why. */
  shut(error: Error): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#timer?.cancel();
    (this.#wait?.done ?? this.#begin('stop')).reject(error);
  }
}
