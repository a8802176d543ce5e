import { copyBytes, emptyBytes } from '../base/bytes.js';
import { encodeOperation } from '../rpc/kv-codec.js';
import { routingKey, type Operation, type OperationResult } from '../rpc/public-types.js';
import type { QuorateError } from '../base/errors.js';
import { operationDeadlineMs, type Unanswered } from './retry.js';

/**
 * `queued` at a node's connection, `sent` there, `waiting` for the time of the next attempt, or `settled`: the caller
 * has its answer, and whoever still holds the operation drops it. `message`: of the stream, from 1.
 */
export type OperationState =
  | { readonly type: 'queued'; readonly address: string }
  | { readonly type: 'sent'; readonly address: string; readonly id: number; readonly message: number }
  | { readonly type: 'waiting'; readonly untilMs: number }
  | { readonly type: 'settled' };

const settled: OperationState = { type: 'settled' };

/** One operation of a caller from its call to its answer, over all attempts. */
export class PendingOperation implements Unanswered {
  /** As `bytes`, a copy of the caller's, and none any more once it is settled. */
  key: Uint8Array;
  /** Encoded once: every attempt sends the same, request id included. */
  bytes: Uint8Array;
  readonly isWrite: boolean;
  /** Operations, as messages count them. */
  readonly count: number;
  readonly startMs: number;
  readonly deadlineMs: number;
  /** Called by `settle`. */
  answer: (result: OperationResult) => void;
  state: OperationState = { type: 'waiting', untilMs: 0 };
  attempts = 0;
  /** An attempt of a write ended with an outcome that is not known; stays true. */
  attemptMaybeApplied = false;
  lastError: QuorateError | undefined;
  /** Where attempts failed, until one node after the other was tried. */
  avoid: Set<string> | undefined;

  constructor(
    operation: Operation,
    time: { readonly startMs: number; readonly deadlineMs: number },
    answer: (result: OperationResult) => void,
  ) {
    this.key = copyBytes(routingKey(operation));
    this.bytes = encodeOperation(operation);
    this.isWrite = operation.type !== 'get';
    this.count = operation.type === 'atomicBatch' ? operation.operations.length : 1;
    this.startMs = time.startMs;
    this.deadlineMs = operationDeadlineMs(this.isWrite, time);
    this.answer = answer;
  }

  /** Once. Its bytes are let go, whoever still holds it. */
  settle(result: OperationResult): void {
    this.state = settled;
    this.key = emptyBytes;
    this.bytes = emptyBytes;
    this.answer(result);
  }

  /** Whether a write may have taken effect, as far as this client can know now. */
  get maybeApplied(): boolean {
    return this.attemptMaybeApplied || (this.isWrite && this.state.type === 'sent');
  }
}
