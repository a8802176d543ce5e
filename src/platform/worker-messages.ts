import type { Job } from '../env/background.js';
import type { EncodedError } from './worker-errors.js';

/** To a worker thread. `cancel` means the job that it runs; after `end`, which comes last, it ends when none runs. */
export type WorkerRequest =
  { readonly type: 'run'; readonly job: Job<unknown> } | { readonly type: 'cancel' } | { readonly type: 'end' };

/** From a worker thread, once for each `run`. */
export type WorkerReply =
  { readonly type: 'done'; readonly output: unknown } | { readonly type: 'failed'; readonly error: EncodedError };
