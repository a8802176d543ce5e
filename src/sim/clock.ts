import { assert } from '../base/assert.js';
import type { Clock, Timer } from '../env/clock.js';
import type { SimProcess } from './process.js';
import type { Scheduler } from './scheduler.js';

export interface MachineClockOptions {
  /** Wall clock at virtual time 0, in microseconds since 1970. Default 2026-01-01. */
  readonly wallStartMicros?: number;
  /** Milliseconds that the wall clock is ahead of that, or behind. Default 0. */
  readonly wallOffsetMs?: number;
  /** Value of the monotonic clock at virtual time 0. Default 0. */
  readonly monotonicStartMs?: number;
  /** Milliseconds of this clock in one virtual millisecond. Default 1. */
  readonly rate?: number;
}

const defaultWallStartMicros = 1_767_225_600_000_000;

/** The clock of one machine: it outlives the node's process. Faults are set here, and may change at any time. */
export class MachineClock {
  readonly #scheduler: Scheduler;
  #rate: number;
  #rateSinceMs: number;
  #monotonicBaseMs: number;
  /** While the monotonic clock stands still: timers that would have fired. */
  #heldTimers: (() => void)[] | undefined;
  /** Wall minus monotonic; while the wall clock is frozen, the frozen value instead. */
  #wall: { readonly type: 'runs'; readonly aheadMs: number } | { readonly type: 'frozen'; readonly atMs: number };

  constructor(scheduler: Scheduler, options: MachineClockOptions = {}) {
    this.#scheduler = scheduler;
    this.#rate = options.rate ?? 1;
    this.#rateSinceMs = scheduler.nowMs;
    this.#monotonicBaseMs = options.monotonicStartMs ?? 0;
    const wallMs = (options.wallStartMicros ?? defaultWallStartMicros) / 1000 + (options.wallOffsetMs ?? 0);
    this.#wall = { type: 'runs', aheadMs: wallMs - this.#monotonicBaseMs };
  }

  monotonicMs(): number {
    if (this.#heldTimers !== undefined) return this.#monotonicBaseMs;
    return this.#monotonicBaseMs + (this.#scheduler.nowMs - this.#rateSinceMs) * this.#rate;
  }

  wallMicros(): number {
    return Math.floor(this.#wallMs() * 1000);
  }

  /** Virtual milliseconds in which this clock moves by `ownMs`. */
  virtualDelayMs(ownMs: number): number {
    return ownMs / this.#rate;
  }

  /** Drift: the clock runs this much as fast as virtual time, from now on. Timers that are set keep their time. */
  setRate(rate: number): void {
    assert(rate > 0, `the rate must be positive, got ${rate}`);
    this.#monotonicBaseMs = this.monotonicMs();
    this.#rateSinceMs = this.#scheduler.nowMs;
    this.#rate = rate;
  }

  /** Moves the monotonic clock ahead, as that of a virtual machine which was moved. Timers that are set keep their time. */
  jumpMonotonic(aheadMs: number): void {
    assert(aheadMs >= 0, `the monotonic clock never goes back, got ${aheadMs}`);
    this.#monotonicBaseMs += aheadMs;
    if (this.#wall.type === 'runs') this.#wall = { type: 'runs', aheadMs: this.#wall.aheadMs - aheadMs };
  }

  /** Both clocks stand still, and no timer fires, while everything else goes on. */
  freezeMonotonic(): void {
    this.#monotonicBaseMs = this.monotonicMs();
    this.#heldTimers ??= [];
  }

  thawMonotonic(): void {
    const held = this.#heldTimers;
    if (held === undefined) return;
    this.#heldTimers = undefined;
    this.#rateSinceMs = this.#scheduler.nowMs;
    for (const fire of held) fire();
  }

  /** Calls back when timers fire: at once, or when the clock goes on. */
  whenTimersFire(fire: () => void): void {
    if (this.#heldTimers === undefined) fire();
    else this.#heldTimers.push(fire);
  }

  /** Moves the wall clock by `deltaMs`, forward or back. */
  jumpWall(deltaMs: number): void {
    this.#wall =
      this.#wall.type === 'frozen'
        ? { type: 'frozen', atMs: this.#wall.atMs + deltaMs }
        : { type: 'runs', aheadMs: this.#wall.aheadMs + deltaMs };
  }

  freezeWall(): void {
    this.#wall = { type: 'frozen', atMs: this.#wallMs() };
  }

  /** The wall clock runs again, from where it was frozen. */
  thawWall(): void {
    if (this.#wall.type === 'frozen') this.#wall = { type: 'runs', aheadMs: this.#wall.atMs - this.monotonicMs() };
  }

  #wallMs(): number {
    return this.#wall.type === 'frozen' ? this.#wall.atMs : this.monotonicMs() + this.#wall.aheadMs;
  }
}

/** The clock as one incarnation of a process sees it: its timers die with it. */
export class SimClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #process: SimProcess;
  readonly #machine: MachineClock;
  readonly #timerLabel: string;
  readonly #turnLabel: string;

  constructor(scheduler: Scheduler, process: SimProcess, machine: MachineClock = new MachineClock(scheduler)) {
    this.#scheduler = scheduler;
    this.#process = process;
    this.#machine = machine;
    this.#timerLabel = `${process.name} timer`;
    this.#turnLabel = `${process.name} end of turn`;
  }

  monotonicMs(): number {
    return this.#machine.monotonicMs();
  }

  wallMicros(): number {
    return this.#machine.wallMicros();
  }

  after(delayMs: number, callback: () => void): Timer {
    // A timer that is held by a pause can still be cancelled by what is delivered before it.
    let isCancelled = false;
    // Rounded up to whole microseconds: a wait for a rest that rounding left over must move time.
    const virtualMs = Math.ceil(this.#machine.virtualDelayMs(Math.max(0, delayMs)) * 1000) / 1000;
    const event = this.#scheduler.schedule(virtualMs, this.#timerLabel, () => {
      this.#machine.whenTimersFire(() => {
        this.#process.enter(() => {
          if (!isCancelled) callback();
        });
      });
    });
    return {
      cancel: () => {
        isCancelled = true;
        event.cancel();
      },
    };
  }

  /** Runs after all that is due now and after the promise reactions of the current event, at the same virtual time. */
  endOfTurn(callback: () => void): void {
    this.#scheduler.schedule(0, this.#turnLabel, () => this.#process.enter(callback));
  }
}
