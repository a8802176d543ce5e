/**
 * When clients call: in bursts, with rests between them. What a rest saves is spent on faults, which find more; within
 * a burst the calls are as dense, and meet as often, as without any rest. And clusters at rest have paths of their own.
 *
 * A burst is over, too, when its calls are used up: many quick clients in many bursts would cost as much as ten other runs.
 */
import type { Prng } from '../base/prng.js';
import type { Scheduler } from './scheduler.js';

export interface BurstPlan {
  /** Virtual milliseconds. */
  readonly lastsMsMax: number;
  /** From the beginning of one burst to that of the next. */
  readonly gapMsMax: number;
  /** Of all clients together. */
  readonly callsMax: number;
}

/** A crash is an instant: bursts at random alone would seldom meet it. */
const beforeFaultChance = 0.25;
/** After a rest, clients do not come back all in one instant. */
const returnMsMax = 10;

export class Bursts {
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #plan: BurstPlan | undefined;
  #busyUntilMs = 0;
  #callsLeft = 0;
  #resting: (() => void)[] = [];
  #stopped = false;

  /** @param plan without it there is no rest */
  constructor(scheduler: Scheduler, random: Prng, plan: BurstPlan | undefined) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#plan = plan;
  }

  start(): void {
    if (this.#plan === undefined) return;
    this.#begin(this.#plan);
    this.#planNext(this.#plan);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Calls back at once, or in the next burst; never if there is none. */
  whenBusy(callback: () => void): void {
    const isBusy = this.#scheduler.nowMs < this.#busyUntilMs && this.#callsLeft-- > 0;
    if (this.#plan === undefined || isBusy) callback();
    else this.#resting.push(callback);
  }

  /** A fault begins soon. */
  faultComes(): void {
    if (this.#plan !== undefined && this.#random.chance(beforeFaultChance)) this.#begin(this.#plan);
  }

  #begin({ lastsMsMax, callsMax }: BurstPlan): void {
    const lastsMs = this.#random.float() * lastsMsMax;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#scheduler.nowMs + lastsMs);
    this.#callsLeft = callsMax - this.#resting.length;
    for (const callback of this.#resting.splice(0)) {
      this.#scheduler.schedule(this.#random.float() * returnMsMax, 'a client goes on', callback);
    }
  }

  #planNext(plan: BurstPlan): void {
    this.#scheduler.schedule(this.#random.float() * plan.gapMsMax, 'a burst of calls', () => {
      if (this.#stopped) return;
      this.#begin(plan);
      this.#planNext(plan);
    });
  }
}
