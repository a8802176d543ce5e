import type { Disk } from './disk.js';

/**
 * Work that must not hold up the event loop. A job is data (structured-cloneable), so that it can cross to a worker
 * thread; its code is found by `type` in the table of jobs that the composition root registers.
 */
export interface Background {
  /**
   * Runs the job; rejects with what it threw: DiskError, CorruptionError and AssertionError cross threads with class and
   * fields, other errors with message, `name` and `code`. At most a fixed number run at a time, and one that is
   * urgent; the rest wait, as `nextJob` says, however many: the caller sees to it that few do. A tree has one urgent job
   * at a time, and one that is not.
   */
  run<Input, Output>(job: Job<Input>, signal?: AbortSignal): Promise<Output>;
}

export interface Job<Input> {
  readonly type: string;
  readonly input: Input;
  /** Memory of the input that is given to the job, instead of copied: it is gone here. Default none. */
  readonly transfer?: readonly ArrayBuffer[];
  /** Waits for other urgent jobs only. Default false. */
  readonly isUrgent?: boolean;
}

/** Code of one type of job. It gets its own `disk`, since file handles do not cross threads. */
export type JobHandler<Input, Output> = (input: Input, disk: Disk, signal: AbortSignal) => Promise<Output>;

/** Jobs by type. `never` makes every handler assignable; the runner trusts the type name. */
export type JobTable = Readonly<Record<string, JobHandler<never, unknown>>>;
