import { TreeClosedError } from './background-errors.js';

/**
 * Calls that write files of their own accord. Whoever closes the tree cancels them and waits for their end: until then
 * they touch files that the folder's next owner takes for its own.
 */
export class CallsUnderWay {
  readonly #closing = new AbortController();
  readonly #calls = new Set<Promise<unknown>>();

  /** @param call heeds the signal; from its abort on, whatever it rejects with becomes a TreeClosedError's cause */
  async run<T>(call: (closing: AbortSignal) => Promise<T>): Promise<T> {
    const closing = this.#closing.signal;
    closing.throwIfAborted();
    const running = call(closing);
    this.#calls.add(running);
    try {
      return await running;
    } catch (error) {
      if (!closing.aborted || error instanceof TreeClosedError) throw error;
      throw new TreeClosedError('the tree was closed', { cause: error });
    } finally {
      this.#calls.delete(running);
    }
  }

  /** Resolves when none is left, and never rejects. Later calls are refused. */
  async cancel(reason: TreeClosedError): Promise<void> {
    this.#closing.abort(reason);
    await Promise.allSettled(this.#calls);
  }
}
