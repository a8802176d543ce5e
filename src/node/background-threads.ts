/** The threads of a process that flush and compact. */
import { WorkerPool } from '../platform/worker-pool.js';

/**
 * Compactions come after everything else that wants the processor, but for a tenth: weighed by 110, where others have 1024. What falls behind
 * for that slows writes down (lsm/write-delay.ts).
 */
const compactionNiceness = 10;

/** @param size threads for compactions, besides one for flushes */
export function backgroundPool(size: number): WorkerPool {
  return new WorkerPool({
    entry: new URL('./background-worker.js', import.meta.url),
    size,
    niceness: compactionNiceness,
  });
}
