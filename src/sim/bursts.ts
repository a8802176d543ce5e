/**
 * When clients call: in bursts, with rests between them. What a rest saves is spent on faults, which find more; within
 * a burst the calls are as dense, and meet as often, as without any rest. And clusters at rest have paths of their own.
 */
import type { Prng } from '../base/prng.js';
import type { Scheduler } from './scheduler.js';

/** Virtual milliseconds, each at most. */
export interface BurstPlan {
  readonly lastsMsMax: number;
  /** From the beginning of one burst to that of the next. */
  readonly gapMsMax: number;
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
    if (this.#plan === undefined || this.#scheduler.nowMs < this.#busyUntilMs) callback();
    else this.#resting.push(callback);
  }

  /** A fault begins soon. */
  faultComes(): void {
    if (this.#plan !== undefined && this.#random.chance(beforeFaultChance)) this.#begin(this.#plan);
  }

  #begin({ lastsMsMax }: BurstPlan): void {
    const lastsMs = this.#random.float() * lastsMsMax;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#scheduler.nowMs + lastsMs);
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
