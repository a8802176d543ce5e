import { entryBytes } from '../mvcc/operation-bytes.js';
import type { WriteOperation } from '../mvcc/operations.js';
import { entryOverheadBytes } from './entry-format.js';
import type { Task } from './task.js';
import type { WriteArrival } from './write-window.js';

export interface TakenWrites {
  readonly tasks: readonly Task<WriteOperation>[];
  /** That they take in an entry, at most. */
  readonly bytes: number;
  /** Of the oldest of them. */
  readonly arrival: WriteArrival;
}

/** Writes that came one after the other between two batches: they count as come with the first. */
interface Run {
  readonly arrival: WriteArrival;
  count: number;
}

/** Writes that wait for their batch, oldest first, and since when: noted once for all that come between two batches. */
export class WriteQueue {
  readonly #arrivingNow: () => WriteArrival;
  #tasks: Task<WriteOperation>[] = [];
  /** Of `#tasks`, in order. */
  #runs: Run[] = [];
  /** What comes next belongs to the last of them. */
  #isLastRunOpen = false;
  #bytes = 0;

  constructor(arrivingNow: () => WriteArrival) {
    this.#arrivingNow = arrivingNow;
  }

  get length(): number {
    return this.#tasks.length;
  }

  /** That all of them take in entries, at most. */
  get bytes(): number {
    return this.#bytes;
  }

  add(task: Task<WriteOperation>): void {
    if (!this.#isLastRunOpen) this.#runs.push({ arrival: this.#arrivingNow(), count: 0 });
    this.#isLastRunOpen = true;
    this.#runs[this.#runs.length - 1].count++;
    this.#tasks.push(task);
    this.#bytes += entryBytes(task.operation);
  }

  /** Up to one entry's worth, and at least one write; the queue must have one. */
  take(entryBytesMax: number): TakenWrites {
    let bytes = 0;
    let count = 0;
    for (const { operation } of this.#tasks) {
      const more = entryBytes(operation);
      if (count > 0 && entryOverheadBytes + bytes + more > entryBytesMax) break;
      bytes += more;
      count++;
    }
    this.#bytes -= bytes;
    const { arrival } = this.#runs[0];
    this.#dropRuns(count);
    return { tasks: this.#tasks.splice(0, count), bytes, arrival };
  }

  /** All of them; the queue is empty then. */
  clear(): readonly Task<WriteOperation>[] {
    const tasks = this.#tasks;
    this.#tasks = [];
    this.#runs = [];
    this.#isLastRunOpen = false;
    this.#bytes = 0;
    return tasks;
  }

  /** Of the first `count` tasks. */
  #dropRuns(count: number): void {
    this.#isLastRunOpen = false;
    let left = count;
    while (left > 0) {
      const [run] = this.#runs;
      const dropped = Math.min(left, run.count);
      run.count -= dropped;
      left -= dropped;
      if (run.count === 0) this.#runs.shift();
    }
  }
}
