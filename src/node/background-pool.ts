/** The threads of a node, or of an embedded tree, that flush and compact. */
import { WorkerPool } from '../platform/worker-pool.js';

/** @param size threads for compactions, besides one for flushes */
export function backgroundPool(size: number): WorkerPool {
  return new WorkerPool({
    entry: new URL('./background-worker.js', import.meta.url),
    size,
  });
}
