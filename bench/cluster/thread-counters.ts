/**
 * Counts that all threads of a process add to: `node --import` loads a module into workers too. The first thread leaves the
 * shared memory where those that it starts find it.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

const name = 'bench-thread-counters';
const count = 2;

export class ThreadCounters {
  readonly #counts: BigInt64Array;

  constructor() {
    if (isMainThread) setEnvironmentData(name, new SharedArrayBuffer(count * BigInt64Array.BYTES_PER_ELEMENT));
    this.#counts = new BigInt64Array(getEnvironmentData(name) as SharedArrayBuffer);
  }

  addSync(): void {
    Atomics.add(this.#counts, 0, 1n);
  }

  addGc(ms: number): void {
    Atomics.add(this.#counts, 1, BigInt(Math.round(ms * 1e6)));
  }

  read(): { readonly syncs: number; readonly gcMs: number } {
    return { syncs: Number(Atomics.load(this.#counts, 0)), gcMs: Number(Atomics.load(this.#counts, 1)) / 1e6 };
  }
}
