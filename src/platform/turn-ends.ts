/** Ends of turns that follow one another without a look at the operating system in between. */
const endsPerIteration = 4;

/**
 * Calls back at the end of the turn, which begins with no promise reaction pending; what is added by then, and by its
 * reactions, has an end of its own right after that. So what one end of a turn hands to the next (writes to timestamps,
 * those to a round of reads, this to the messages of a node) is done in one iteration of the event loop. A few at most: then
 * sockets and timers have their turn.
 *
 * Node runs the immediates that it knows of when it comes to them, and the promise reactions of each before the next. One
 * that is added meanwhile waits for an iteration, which costs a poll of the operating system; so there are some ahead.
 */
export class TurnEnds {
  readonly #atEnd: (callback: () => void) => void;
  #callbacks: (() => void)[] = [];
  /** Immediates that are still to come. */
  #ahead = 0;

  /** @param atEnd as `setImmediate`, which it is where nobody tests this */
  constructor(atEnd: (callback: () => void) => void = setImmediate) {
    this.#atEnd = atEnd;
  }

  add(callback: () => void): void {
    this.#callbacks.push(callback);
    if (this.#ahead === 0) this.#plan();
  }

  #plan(): void {
    for (; this.#ahead < endsPerIteration; this.#ahead++) this.#atEnd(this.#end);
  }

  readonly #end = (): void => {
    this.#ahead--;
    const callbacks = this.#callbacks;
    if (callbacks.length === 0) return;
    this.#callbacks = [];
    let done = 0;
    try {
      for (; done < callbacks.length; done++) callbacks[done]();
    } finally {
      // One that throws does not keep the others from being called.
      if (done < callbacks.length) this.#callbacks.unshift(...callbacks.slice(done + 1));
      if (this.#ahead === 0 && this.#callbacks.length > 0) this.#plan();
    }
  };
}
