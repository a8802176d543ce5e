import { defined } from '../base/assert.js';
import type { Prng } from '../base/prng.js';
import type { Background, Job, JobTable } from '../env/background.js';
import type { Disk } from '../env/disk.js';
import { nextJob } from '../env/job-order.js';
import type { SimProcess } from './process.js';
import type { Scheduler } from './scheduler.js';

export interface SimBackgroundOptions {
  readonly scheduler: Scheduler;
  readonly process: SimProcess;
  /** The process's own view of its disk. */
  readonly disk: Disk;
  readonly jobs: JobTable;
  readonly random: Prng;
  /** Jobs that run at a time, besides an urgent one. Default 1. */
  readonly size?: number;
  /** Virtual milliseconds of computing before the job touches the disk. Default 0.1 … 20. */
  readonly delayMs?: readonly [min: number, max: number];
}

interface WaitingJob {
  readonly type: string;
  readonly isUrgent: boolean;
  readonly begin: () => void;
}

/**
 * Background work in the simulator: jobs run in this thread, after a virtual delay, on the disk of the process; with
 * it they end. As with threads, what goes in and comes out is cloned.
 */
export class SimBackground implements Background {
  readonly #options: SimBackgroundOptions;
  readonly #waiting: WaitingJob[] = [];
  readonly #running = new Set<WaitingJob>();

  constructor(options: SimBackgroundOptions) {
    this.#options = options;
  }

  run<Input, Output>(job: Job<Input>, signal?: AbortSignal): Promise<Output> {
    const { jobs, disk } = this.#options;
    const handler = defined(jobs[job.type], `the code of background job ${job.type}`) as unknown as (
      input: Input,
      disk: Disk,
      signal: AbortSignal,
    ) => Promise<Output>;
    const input = structuredClone(job.input, { transfer: [...(job.transfer ?? [])] });
    return new Promise<Output>((resolve, reject) => {
      const work = async (): Promise<Output> => {
        signal?.throwIfAborted();
        return structuredClone(await handler(input, disk, signal ?? new AbortController().signal));
      };
      const waiting: WaitingJob = {
        type: job.type,
        isUrgent: job.isUrgent === true,
        begin: () => {
          void work()
            .then(resolve, reject)
            .finally(() => {
              this.#running.delete(waiting);
              this.#beginNext();
            });
        },
      };
      this.#waiting.push(waiting);
      this.#beginNext();
    });
  }

  #beginNext(): void {
    const { scheduler, process, random, size = 1, delayMs: [minMs, maxMs] = [0.1, 20] } = this.#options;
    for (;;) {
      const next = nextJob(this.#waiting, [...this.#running], size);
      if (next === undefined) return;
      const [job] = this.#waiting.splice(next, 1);
      this.#running.add(job);
      const delayMs = minMs + (maxMs - minMs) * random.float();
      scheduler.schedule(delayMs, `${process.name} job ${job.type}`, () => process.enter(job.begin));
    }
  }
}
