import { assert } from '../base/assert.js';

/**
 * Calls `turn` again and again, each time in a macrotask of its own, so that all promise reactions (however long
 * their chains) have run in between; ends when `turn` returns false, rejects when it throws. It comes from outside,
 * since only the platform has macrotasks: see platform/turns.ts.
 */
export type RunTurns = (turn: () => boolean) => Promise<void>;

export interface ScheduledEvent {
  /** No effect if it has run or was cancelled. */
  cancel(): void;
}

class Event implements ScheduledEvent {
  /** Undefined when it has run or was cancelled. */
  callback: (() => void) | undefined;

  constructor(
    readonly timeMs: number,
    readonly sequence: number,
    readonly label: string,
    callback: () => void,
  ) {
    this.callback = callback;
  }

  cancel(): void {
    this.callback = undefined;
  }
}

/**
 * Virtual time: a heap of events in the order of (time, sequence). Time stands still while an event and the promise
 * reactions that it causes run, and jumps to the next event then.
 *
 * Invariants: time never goes back; of two events at one time the one that was scheduled first runs first; an event
 * starts only when no promise reaction is pending. So a run is a function of what is scheduled, and its trace hash
 * (over time and label of every event) is equal for equal seeds.
 */
export class Scheduler {
  readonly #runTurns: RunTurns;
  readonly #heap: Event[] = [];
  #nowMs = 0;
  #sequence = 0;
  #eventsRun = 0;
  #traceLow = 0x811c9dc5;
  #traceHigh = 0x9747b28c;
  #running = false;
  #observer: ((timeMs: number, label: string) => void) | undefined;

  constructor(runTurns: RunTurns) {
    this.#runTurns = runTurns;
  }

  /** Virtual milliseconds since the start, with fractions. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that have run. */
  get eventsRun(): number {
    return this.#eventsRun;
  }

  /** 16 hex digits over all events so far and all that {@link note} was given. */
  get traceHash(): string {
    const hex = (part: number): string => (part >>> 0).toString(16).padStart(8, '0');
    return hex(this.#traceHigh) + hex(this.#traceLow);
  }

  /** Shows every event and note of the trace to `observer`: for finding where two runs part. */
  observe(observer: (timeMs: number, label: string) => void): void {
    this.#observer = observer;
  }

  /** Runs `callback` after `delayMs` of virtual time, at least 0. `label` goes into the trace. */
  schedule(delayMs: number, label: string, callback: () => void): ScheduledEvent {
    assert(delayMs >= 0, `the delay must not be negative, got ${delayMs}`);
    const event = new Event(this.#nowMs + delayMs, this.#sequence++, label, callback);
    if (delayMs !== Infinity) this.#push(event);
    return event;
  }

  /** Adds a fact to the trace, so that runs which part there have different hashes. */
  note(text: string): void {
    this.#observer?.(this.#nowMs, text);
    let low = this.#traceLow ^ Math.floor(this.#nowMs * 1000);
    let high = this.#traceHigh;
    for (let i = 0; i < text.length; i++) {
      low = Math.imul(low ^ text.charCodeAt(i), 0x01000193);
      high = Math.imul(high ^ low, 0x85ebca6b);
      high ^= high >>> 15;
    }
    this.#traceLow = low;
    this.#traceHigh = high;
  }

  /**
   * Runs the next event. False when there is none up to `untilMs`. The caller must let promise reactions run before
   * the next call: prefer {@link run}.
   */
  step(untilMs = Infinity): boolean {
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.timeMs > untilMs) return false;
      this.#pop();
      const callback = event.callback;
      if (callback === undefined) continue;
      assert(event.timeMs >= this.#nowMs, 'virtual time goes back');
      this.#nowMs = event.timeMs;
      event.callback = undefined;
      this.#eventsRun++;
      this.note(event.label);
      callback();
      return true;
    }
  }

  /** Runs all events up to the virtual time `untilMs`, which it is then. Rejects with what an event threw. */
  async run(untilMs: number): Promise<void> {
    await this.runUntil(() => false, untilMs);
  }

  /**
   * Runs events until `done` says so between two of them; false when it did not until `limitMs`.
   * With no limit it also ends when there is no event left. `done` is asked once in `everyMs` of virtual time, since
   * asking may cost more than an event; before each event by default.
   */
  async runUntil(done: () => boolean, limitMs = Infinity, everyMs = 0): Promise<boolean> {
    assert(!this.#running, 'the scheduler is running already');
    this.#running = true;
    let isDone = false;
    let askAtMs = this.#nowMs;
    try {
      await this.#runTurns(() => {
        if (this.#nowMs >= askAtMs) {
          isDone = done();
          askAtMs = this.#nowMs + everyMs;
        }
        return !isDone && this.step(limitMs);
      });
      isDone ||= done();
    } finally {
      this.#running = false;
    }
    if (!isDone && limitMs !== Infinity && limitMs > this.#nowMs) this.#nowMs = limitMs;
    return isDone;
  }

  /**
   * Runs events until `promise` is settled, and gives its result; rejects when it is not settled at `limitMs`, or
   * (with no limit) when no event is left that could settle it.
   */
  async complete<T>(promise: Promise<T>, limitMs = Infinity): Promise<T> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    if (!(await this.runUntil(() => settled, limitMs))) {
      throw new Error(`not settled at the virtual time ${this.#nowMs} ms`);
    }
    return promise;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    const half = heap.length >> 1;
    let at = 0;
    while (at < half) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.sequence < b.sequence);
}
