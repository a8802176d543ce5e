/**
 * The results of the operations of one request, as they come. They fit a frame together: those that come when it is full become
 * OVERLOADED, so that they are asked for again, a few at a time. So of large values no more than a frame's worth is held.
 */
import { QuorateError } from '../base/errors.js';
import { resultBytes } from '../mvcc/operation-bytes.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';

/** Of an error besides its message, and of the frame around all results. */
const overheadBytes = 128;

export class FittingResults {
  readonly #operations: readonly Operation[];
  readonly #results: OperationResult[];
  #open: number;
  #bytesLeft: number;

  constructor(operations: readonly Operation[], frameBytesMax: number) {
    this.#operations = operations;
    this.#results = new Array<OperationResult>(operations.length);
    this.#open = operations.length;
    this.#bytesLeft = frameBytesMax - overheadBytes;
  }

  /** Takes the result of the operation at `index`. Returns all, in order, when it was the last one to come. */
  add(index: number, result: OperationResult): readonly OperationResult[] | undefined {
    const bytes = result.type === 'failed' ? 3 * result.error.message.length + overheadBytes : resultBytes(result);
    if (bytes <= this.#bytesLeft) {
      this.#bytesLeft -= bytes;
      this.#results[index] = result;
    } else this.#results[index] = { type: 'failed', error: this.#overloaded(index) };
    return --this.#open === 0 ? this.#results : undefined;
  }

  #overloaded(index: number): QuorateError {
    const message = 'the answer does not fit a frame between nodes together with those of other operations';
    // A write has been carried out; its request id gets the same answer again.
    const outcome = this.#operations[index].type === 'get' ? 'notApplied' : 'unknown';
    return new QuorateError('OVERLOADED', message, { outcome, retryAfterMs: 1 });
  }
}
