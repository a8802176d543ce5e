/**
 * Batches of a node's shards that start together: when one is due, those of other shards in which writes wait may start with
 * it. So they share a question for timestamps, a write of the log and a frame to each follower, which cost more than
 * their entries do. No shard ever waits for another one.
 */
export class CommonStarts {
  /** In the order in which they began to wait. */
  #waiting = new Set<() => void>();

  /** Has `start` called at the next {@link startAll}, once; it may wait again from then on. */
  wait(start: () => void): void {
    this.#waiting.add(start);
  }

  /** There is nothing to start any more. */
  forget(start: () => void): void {
    this.#waiting.delete(start);
  }

  startAll(): void {
    if (this.#waiting.size === 0) return;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const start of waiting) start();
  }
}
