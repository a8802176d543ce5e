import type { Scheduler } from './scheduler.js';

/**
 * One incarnation of a node's process: from its start to its crash. Whatever would call into the node's code (a timer,
 * a frame, the end of a disk operation) passes through {@link enter}; a paused process (SIGSTOP) gets it all when it
 * goes on, a dead one (SIGKILL) never.
 */
export class SimProcess {
  readonly name: string;
  readonly #scheduler: Scheduler;
  readonly #onDeath: (() => void)[] = [];
  #state: 'running' | 'paused' | 'dead' = 'running';
  #held: (() => void)[] = [];
  #isDelivering = false;

  /** @param name the node, for the trace. */
  constructor(scheduler: Scheduler, name: string) {
    this.#scheduler = scheduler;
    this.name = name;
  }

  get state(): 'running' | 'paused' | 'dead' {
    return this.#state;
  }

  /** Calls that wait until it goes on. */
  get heldCount(): number {
    return this.#held.length;
  }

  /** Runs `callback` now, when the process goes on, or never; after all that was held before it. */
  enter(callback: () => void): void {
    if (this.#state === 'dead') return;
    if (this.#state === 'paused' || this.#held.length > 0) this.#held.push(callback);
    else callback();
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  /** What was held is delivered in its order, each in a turn of its own. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    this.#deliverHeld();
  }

  /** The process is no more. Its disk is not touched: see {@link SimDisk.crash}. */
  kill(): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.#held = [];
    for (const callback of this.#onDeath) callback();
  }

  /** For what the rest of the world sees of the death, such as closed connections. */
  onDeath(callback: () => void): void {
    this.#onDeath.push(callback);
  }

  #deliverHeld(): void {
    if (this.#isDelivering || this.#held.length === 0) return;
    this.#isDelivering = true;
    this.#scheduler.schedule(0, `${this.name} resumes`, () => {
      this.#isDelivering = false;
      if (this.#state !== 'running') return;
      this.#held.shift()?.();
      this.#deliverHeld();
    });
  }
}
