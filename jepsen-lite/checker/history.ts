/**
 * One call of a client, from the outside: when it was called, when it returned, what was asked and answered.
 *
 * Times are numbers in any unit, as long as the whole history uses one clock. Two operations of which one
 * returned strictly before the other was called happened in that order; all others are concurrent.
 */
export interface Operation<Input, Output> {
  /** Who called; for display only. A client may have several operations open at a time. */
  readonly client: number;
  /** The object that was operated on. Objects are checked separately; without a key, all is one object. */
  readonly key?: string;
  readonly call: number;
  /** Undefined when the outcome is unknown: the operation may take effect at any time after its call, or never. */
  readonly return: number | undefined;
  readonly input: Input;
  /** Undefined when nothing is known about the answer. */
  readonly output: Output | undefined;
}

/** A history that no execution could have recorded, such as a return before its call. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError';
}

/** The handle that {@link HistoryRecorder.call} gives out for an operation in progress. */
export type OpenOperation = number & { readonly __brand: 'OpenOperation' };

/** The smallest step between two recorded events; an exact binary fraction, so that sums of it stay exact. */
const eventGap = 1 / 1024;

type Recorded<Input, Output> = { -readonly [Field in keyof Operation<Input, Output>]: Operation<Input, Output>[Field] };

/**
 * Records the operations of clients that live in one process, as they happen.
 *
 * Events keep the order in which they were recorded even when the clock stands still or goes back: each is given
 * a time above the one before. Record a call before the request leaves, and a return after the answer is there.
 */
export class HistoryRecorder<Input, Output> {
  readonly #now: () => number;
  readonly #operations: Recorded<Input, Output>[] = [];
  readonly #open = new Set<OpenOperation>();
  readonly #discarded = new Set<OpenOperation>();
  #lastTime = -Infinity;

  /** @param now the caller's clock, in any unit; below 2^42, so that times stay distinct. */
  constructor({ now }: { readonly now: () => number }) {
    this.#now = now;
  }

  /** How many operations have neither returned nor failed nor been given up. */
  get openCount(): number {
    return this.#open.size;
  }

  /** How many have not left the history. */
  get count(): number {
    return this.#operations.length - this.#discarded.size;
  }

  call(event: { readonly client: number; readonly key?: string; readonly input: Input }): OpenOperation {
    const handle = this.#operations.length as OpenOperation;
    this.#operations.push({ ...event, call: this.#eventTime(), return: undefined, output: undefined });
    this.#open.add(handle);
    return handle;
  }

  /** The answer arrived. */
  return(handle: OpenOperation, output: Output): void {
    this.#close(handle);
    const operation = this.#operations[handle];
    operation.return = this.#eventTime();
    operation.output = output;
  }

  /** The operation certainly did not and will not take effect: it leaves the history. */
  notApplied(handle: OpenOperation): void {
    this.#close(handle);
    this.#discarded.add(handle);
  }

  /** The outcome will never be known, for instance after a timeout. Open operations count as this, too. */
  unknown(handle: OpenOperation): void {
    this.#close(handle);
  }

  /** What was recorded so far, in order of calls. Later events do not change the returned operations. */
  history(): Operation<Input, Output>[] {
    return this.#operations
      .filter((_, handle) => !this.#discarded.has(handle as OpenOperation))
      .map((operation) => ({ ...operation }));
  }

  #close(handle: OpenOperation): void {
    if (!this.#open.delete(handle)) throw new HistoryError(`operation ${handle} is not open`);
  }

  #eventTime(): number {
    this.#lastTime = Math.max(this.#now(), this.#lastTime + eventGap);
    return this.#lastTime;
  }
}
