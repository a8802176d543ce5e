import { assert } from '../base/assert.js';
import { QuorateError } from '../base/errors.js';
import type { Limits } from '../base/limits.js';
import { deferred, type Deferred } from '../base/promises.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import { validateOperation, type OperationLimits } from '../mvcc/validate.js';
import type { KvBackend } from './backend.js';
import type { DecodedOperation } from './kv-codec.js';
import type { UnsentAnswers } from './unsent-answers.js';

/** Scans take long, compared with operations. */
const scanRetryMs = 100;

type GateLimits = OperationLimits & Pick<Limits, 'scansInFlightMax'>;

/**
 * Where operations enter the node: refuses what is invalid, reads while there is no room for answers, scans beyond their
 * limit and, once the node drains, everything; counts what is open, so that draining can wait for it.
 */
export class Gate {
  readonly #kv: KvBackend;
  readonly #limits: GateLimits;
  readonly #unsent: Pick<UnsentAnswers, 'refusal'>;
  #open = 0;
  #scans = 0;
  #draining = false;
  #idle: Deferred<void> | undefined;

  constructor(kv: KvBackend, limits: GateLimits, unsent: Pick<UnsentAnswers, 'refusal'>) {
    this.#kv = kv;
    this.#limits = limits;
    this.#unsent = unsent;
  }

  /** Operations and scans that have entered and not left. */
  get open(): number {
    return this.#open;
  }

  /** `done` is called exactly once: before this returns if the operation is refused here. */
  submit(operation: DecodedOperation, timeoutMs: number, done: (result: OperationResult) => void): void {
    const error = operation instanceof QuorateError ? operation : this.#refusal(operation);
    const refused = error ?? deadlineError(timeoutMs) ?? this.enter();
    if (refused !== undefined || operation instanceof QuorateError) {
      if (refused !== undefined) done({ type: 'failed', error: refused });
      return;
    }
    this.#kv.submit(operation, timeoutMs, (result) => {
      this.leave();
      done(result);
    });
  }

  /** Writes are let in whatever waits to be sent: their answers are small, and one that was done is told as done. */
  #refusal(operation: Operation): QuorateError | undefined {
    return validateOperation(operation, this.#limits) ?? (operation.type === 'get' ? this.#unsent.refusal : undefined);
  }

  /** For what does not go through `submit`. Undefined: entered, and must {@link leave}. */
  enter(): QuorateError | undefined {
    if (this.#draining) return new QuorateError('NODE_STOPPING', 'the node is shutting down');
    this.#open++;
    return undefined;
  }

  leave(): void {
    assert(this.#open > 0, 'more left the gate than entered');
    this.#open--;
    if (this.#open === 0) this.#idle?.resolve();
  }

  /** Undefined: entered, and must {@link leaveScan}. */
  enterScan(): QuorateError | undefined {
    const refused = this.enter();
    if (refused !== undefined) return refused;
    const { scansInFlightMax } = this.#limits;
    if (this.#scans < scansInFlightMax) {
      this.#scans++;
      return undefined;
    }
    this.leave();
    const message = `the node has ${scansInFlightMax} scans in flight (scansInFlightMax)`;
    return new QuorateError('OVERLOADED', message, { retryAfterMs: scanRetryMs });
  }

  leaveScan(): void {
    assert(this.#scans > 0, 'more scans left the gate than entered');
    this.#scans--;
    this.leave();
  }

  /** Lets nothing in any more; resolves when nothing is open. */
  drain(): Promise<void> {
    this.#draining = true;
    this.#idle ??= deferred<void>();
    if (this.#open === 0) this.#idle.resolve();
    return this.#idle.promise;
  }
}

/** Of a call whose deadline passed before it was looked at. */
export function deadlineError(timeoutMs: number): QuorateError | undefined {
  if (timeoutMs > 0) return undefined;
  return new QuorateError('DEADLINE_EXCEEDED', 'the deadline had passed when the request arrived');
}
