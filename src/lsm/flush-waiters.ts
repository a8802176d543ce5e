import type { LogIndex } from '../base/ids.js';
import { deferred, type Deferred } from '../base/promises.js';

/** Calls of `flush`, each until what it is to make durable is. */
export class FlushWaiters {
  #waiters: { readonly appliedIndex: LogIndex; readonly done: Deferred<void> }[] = [];

  wait(appliedIndex: LogIndex): Promise<void> {
    const done = deferred<void>();
    this.#waiters.push({ appliedIndex, done });
    return done.promise;
  }

  /** All up to that index is durable. */
  flushed(durable: LogIndex): void {
    const waiters = this.#waiters;
    this.#waiters = waiters.filter(({ appliedIndex }) => appliedIndex > durable);
    for (const { appliedIndex, done } of waiters) if (appliedIndex <= durable) done.resolve();
  }

  /** Nothing more will be. */
  failed(error: Error): void {
    for (const { done } of this.#waiters) done.reject(error);
    this.#waiters = [];
  }
}
