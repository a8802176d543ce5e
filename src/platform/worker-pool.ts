import { Worker } from 'node:worker_threads';
import { onAbort } from '../base/abort.js';
import { assert } from '../base/assert.js';
import { QuorateError } from '../base/errors.js';
import { deferred } from '../base/promises.js';
import type { Background, Job } from '../env/background.js';
import { nextJob } from '../env/job-order.js';
import { decodeError } from './worker-errors.js';
import type { WorkerReply, WorkerRequest } from './worker-messages.js';

export interface WorkerPoolOptions {
  /** The module that each worker runs; it calls `serveJobs`. */
  readonly entry: URL;
  /**
   * Threads, and so jobs that run at a time, besides one for urgent jobs. Each is started when it is first
   * needed.
   */
  readonly size: number;
  /** Structured-cloneable; what the entry finds as `workerData`. */
  readonly workerData?: unknown;
  /** Memory of each thread for what is not old yet: more of it is less work for the garbage collector. Default: V8's. */
  readonly youngGenerationMiB?: number;
  /** Milliseconds that each thread has to end by itself when the pool is closed, until it is terminated. Default 5000. */
  readonly stopMsMax?: number;
}

interface PendingJob {
  readonly job: Job<unknown>;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (output: unknown) => void;
  readonly reject: (reason: unknown) => void;
  /** From then on the caller cannot give up any more. */
  stopListening: () => void;
}

/**
 * Background work in worker threads, one job a thread at a time; the rest wait as {@link nextJob} has them.
 * No job is refused, since none could be left undone; those who ask bound how many wait (see {@link Background}).
 * A thread that crashes rejects its job and is replaced; threads without a job do not keep the process alive. Closing
 * cancels what runs and refuses what waits, and has the threads end.
 */
export class WorkerPool implements Background, AsyncDisposable {
  readonly #options: WorkerPoolOptions;
  readonly #waiting: PendingJob[] = [];
  readonly #threads = new Set<PoolThread>();
  #isClosed = false;

  constructor(options: WorkerPoolOptions) {
    assert(options.size >= 1, 'a worker pool has at least one thread');
    this.#options = options;
  }

  run<Input, Output>(job: Job<Input>, signal?: AbortSignal): Promise<Output> {
    return new Promise<Output>((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#isClosed) throw new QuorateError('NODE_STOPPING', 'the worker pool is closed');
      const pending: PendingJob = {
        job,
        signal,
        resolve: (output) => resolve(output as Output),
        reject,
        stopListening: () => undefined,
      };
      pending.stopListening = onAbort(signal, () => this.#giveUp(pending));
      this.#waiting.push(pending);
      this.#assign();
    });
  }

  /** Jobs that wait are rejected, those that run are cancelled; returns when all threads have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const pending of this.#waiting.splice(0)) {
      this.#settle(pending, () => pending.reject(new QuorateError('NODE_STOPPING', 'the worker pool is closed')));
    }
    await Promise.all([...this.#threads].map((thread) => thread.stop()));
  }

  #assign(): void {
    for (;;) {
      const running = [...this.#threads].flatMap(({ job }) => (job === undefined ? [] : [job]));
      const next = nextJob(
        this.#waiting.map(({ job }) => job),
        running,
        this.#options.size,
      );
      if (next === undefined) return;
      const [pending] = this.#waiting.splice(next, 1);
      const isUrgent = pending.job.isUrgent === true;
      const idle = [...this.#threads].find((thread) => thread.isIdle && thread.isUrgent === isUrgent);
      (idle ?? this.#startThread(isUrgent)).begin(pending);
    }
  }

  #startThread(isUrgent: boolean): PoolThread {
    const thread = new PoolThread(this.#options, isUrgent, {
      onDone: (pending, settle) => {
        this.#settle(pending, settle);
        this.#assign();
      },
      onDeath: (pending, error) => {
        this.#threads.delete(thread);
        if (pending !== undefined) this.#settle(pending, () => pending.reject(error));
        if (!this.#isClosed) this.#assign();
      },
    });
    this.#threads.add(thread);
    return thread;
  }

  /** The caller of a job aborts it: one that waits is over, one that runs is told. */
  #giveUp(pending: PendingJob): void {
    const at = this.#waiting.indexOf(pending);
    if (at >= 0) {
      this.#waiting.splice(at, 1);
      this.#settle(pending, () => pending.reject(pending.signal?.reason));
      return;
    }
    for (const thread of this.#threads) thread.cancel(pending);
  }

  #settle(pending: PendingJob, settle: () => void): void {
    pending.stopListening();
    settle();
  }
}

interface ThreadEvents {
  readonly onDone: (pending: PendingJob, settle: () => void) => void;
  readonly onDeath: (pending: PendingJob | undefined, error: Error) => void;
}

class PoolThread {
  /** Whether it is the one for urgent jobs; others run none. */
  readonly isUrgent: boolean;
  readonly #worker: Worker;
  readonly #events: ThreadEvents;
  #pending: PendingJob | undefined;
  #failure: Error | undefined;
  readonly #stopMsMax: number;
  readonly #exited: Promise<void>;

  constructor(options: WorkerPoolOptions, isUrgent: boolean, events: ThreadEvents) {
    this.isUrgent = isUrgent;
    this.#events = events;
    this.#stopMsMax = options.stopMsMax ?? 5000;
    // Not the options of the process: a thread of one that runs `--eval` would not start.
    this.#worker = new Worker(options.entry, {
      workerData: options.workerData,
      execArgv: [],
      resourceLimits:
        options.youngGenerationMiB === undefined ? {} : { maxYoungGenerationSizeMb: options.youngGenerationMiB },
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: WorkerReply) => this.#onReply(reply));
    this.#worker.on('error', (error) => {
      this.#failure = error;
    });
    const exited = deferred<void>();
    this.#exited = exited.promise;
    this.#worker.on('exit', (code) => {
      const pending = this.#pending;
      this.#pending = undefined;
      exited.resolve();
      events.onDeath(pending, new Error(`a worker thread died with exit code ${code}`, { cause: this.#failure }));
    });
  }

  /** That it runs; undefined while it is idle. */
  get job(): Job<unknown> | undefined {
    return this.#pending?.job;
  }

  get isIdle(): boolean {
    return this.#pending === undefined;
  }

  begin(pending: PendingJob): void {
    assert(this.#pending === undefined, 'a thread runs one job at a time');
    try {
      const { type, input, transfer } = pending.job;
      this.#post({ type: 'run', job: { type, input } }, transfer);
    } catch (error) {
      // The input cannot be cloned; the thread knows nothing of it.
      this.#events.onDone(pending, () => pending.reject(error));
      return;
    }
    this.#pending = pending;
    this.#worker.ref();
  }

  cancel(pending: PendingJob): void {
    if (this.#pending === pending) this.#post({ type: 'cancel' });
  }

  /**
   * Cancels its job and has it end by itself. To terminate a thread that still starts can abort the whole process
   * (`GetForegroundTaskRunner`), so that is for those alone that do not listen.
   */
  async stop(): Promise<void> {
    if (this.#pending !== undefined) this.#post({ type: 'cancel' });
    this.#post({ type: 'end' });
    const timeout = setTimeout(() => void this.#worker.terminate(), this.#stopMsMax);
    await this.#exited;
    clearTimeout(timeout);
  }

  #post(request: WorkerRequest, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  #onReply(reply: WorkerReply): void {
    const pending = this.#pending;
    assert(pending !== undefined, 'a thread answers one job at a time');
    this.#pending = undefined;
    this.#worker.unref();
    if (reply.type === 'done') this.#events.onDone(pending, () => pending.resolve(reply.output));
    else this.#events.onDone(pending, () => pending.reject(decodeError(reply.error)));
  }
}
