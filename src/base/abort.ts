/**
 * What ends when a signal is aborted. However many wait on one signal, it has one listener: Node reports more than ten as a
 * leak, but a node that closes ends all that waits, and a caller may give one signal to many calls.
 */

/** What waits on one signal that is not aborted. */
class Waits {
  readonly #signal: AbortSignal;
  readonly #ends = new Set<() => void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Returns what takes it back. */
  add(react: () => void): () => void {
    // One function may be given for several waits.
    const end = (): void => react();
    if (this.#ends.size === 0) this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#ends.add(end);
    return () => {
      // A signal that somebody listens to may outlive those who made it.
      if (this.#ends.delete(end) && this.#ends.size === 0) this.#signal.removeEventListener('abort', this.#onAbort);
    };
  }

  readonly #onAbort = (): void => {
    for (const end of this.#ends) end();
  };
}

const waitsOf = new WeakMap<AbortSignal, Waits>();

/**
 * Calls `react` when `signal` is aborted, before this returns if it is already; never without a signal. Whoever waits no longer
 * calls what this returns: then nothing of the wait is left. `react` must not throw.
 */
export function onAbort(signal: AbortSignal | undefined, react: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) {
    react();
    return () => undefined;
  }
  let waits = waitsOf.get(signal);
  if (waits === undefined) {
    waits = new Waits(signal);
    waitsOf.set(signal, waits);
  }
  return waits.add(react);
}
