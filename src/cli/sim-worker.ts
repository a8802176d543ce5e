/** Entry of a thread of `npm run sim`: simulates the seeds that it is given. */
import { NodeDisk } from '../platform/disk.js';
import { runTurns } from '../platform/turns.js';
import { serveJobs } from '../platform/worker.js';
import { simulate } from '../sim/run.js';
import type { SimRunResult } from '../sim/run.js';

/** Input of the job `simulate`, whose output is a {@link SimRunResult}. */
export interface SimJobInput {
  readonly seed: number;
  /** Virtual milliseconds under faults. */
  readonly faultMs: number;
}

const jobs = {
  simulate: ({ seed, faultMs }: SimJobInput): Promise<SimRunResult> =>
    simulate({ seed, faultMs, runTurns, nowMs: () => performance.now() }),
};

serveJobs(jobs, new NodeDisk());
