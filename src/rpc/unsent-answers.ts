/**
 * What answers take that callers have not taken: of all calls of a node, from when an answer is encoded until the
 * transport has given its last byte to the operating system. grpc-js takes whatever it is given, and keeps it for as
 * long as the caller does not read.
 *
 * Invariants: `bytes` is the sum over all calls; a call counts until it is over, which "cancelled" says of calls of
 * grpc-js, whichever way they ended. A call whose caller has taken nothing for as long as it may is reset; so one that was
 * over before it was answered, of which "cancelled" says nothing any more, does not count for ever.
 */
import { assert } from '../base/assert.js';
import { QuorateError } from '../base/errors.js';
import type { Limits } from '../base/limits.js';
import type { Clock, Timer } from '../env/clock.js';
import { resultBytes } from '../mvcc/operation-bytes.js';
import type { OperationResult } from '../mvcc/operations.js';
import { withoutValue } from './kv-codec.js';
import { type Connection, connectionOf, cut, resetCall } from './reset-call.js';

/** Calls that are late are looked for this often; one is reset up to twice this after its time, which leaves a late answer some. */
const sweepMs = 1000;

/** Answers are taken in milliseconds or, by who does not read, when their calls are reset. */
const unsentRetryMs = 100;

/** Why something is not read, or not answered with its value. */
const noRoom = 'answers that their callers do not take fill the node (unsentAnswerBytesMax)';

/** A call of grpc-js. */
interface AnsweredCall {
  once(event: 'cancelled', listener: () => void): unknown;
}

/** What one call holds. Made by {@link UnsentAnswers.of}, changed by nobody else. */
export interface UnsentCall {
  readonly call: AnsweredCall;
  /** Sweeps that its caller may take nothing for. */
  readonly patience: number;
  bytes: number;
  /** The sweep that finds it late; none, once it was reset. */
  lateAt: number;
  /** The call is over: nothing counts any more. */
  over: boolean;
}

type UnsentAnswerLimits = Pick<Limits, 'unsentAnswerBytesMax' | 'valueBytesMax'>;

export class UnsentAnswers {
  readonly #limits: UnsentAnswerLimits;
  readonly #clock: Pick<Clock, 'after'>;
  /** Calls that hold something. */
  readonly #waiting = new Set<UnsentCall>();
  #bytes = 0;
  #sweeps = 0;
  #timer: Timer | undefined;

  constructor(limits: UnsentAnswerLimits, clock: Pick<Clock, 'after'>) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Why nothing is read now: there might be no room for what is found. */
  get refusal(): QuorateError | undefined {
    const { unsentAnswerBytesMax, valueBytesMax } = this.#limits;
    if (this.#bytes + valueBytesMax <= unsentAnswerBytesMax) return undefined;
    return new QuorateError('OVERLOADED', noRoom, { retryAfterMs: unsentRetryMs });
  }

  /** As it is, or without its value where there is no room for it. */
  fitting(result: OperationResult): OperationResult {
    const fits = this.#bytes + resultBytes(result) <= this.#limits.unsentAnswerBytesMax;
    return fits ? result : withoutValue(result, noRoom);
  }

  /** @param patienceMs the call is reset when its caller takes nothing for so long, or up to two seconds longer */
  of(call: AnsweredCall, patienceMs: number): UnsentCall {
    const patience = Math.ceil(Math.max(0, patienceMs) / sweepMs) + 1;
    const unsent: UnsentCall = { call, patience, bytes: 0, lateAt: 0, over: false };
    call.once('cancelled', () => this.#end(unsent));
    return unsent;
  }

  add(unsent: UnsentCall, bytes: number): void {
    if (unsent.over) return;
    if (unsent.bytes === 0) this.#watch(unsent);
    unsent.bytes += bytes;
    this.#bytes += bytes;
  }

  /** The transport has sent them; the caller has its time anew for the rest. */
  sent(unsent: UnsentCall, bytes: number): void {
    this.drop(unsent, bytes);
    if (unsent.lateAt !== Infinity) unsent.lateAt = this.#sweeps + unsent.patience;
  }

  /** They are not going to be sent. */
  drop(unsent: UnsentCall, bytes: number): void {
    if (unsent.over) return;
    assert(bytes <= unsent.bytes, 'more of an answer was sent than there was');
    unsent.bytes -= bytes;
    this.#bytes -= bytes;
    if (unsent.bytes === 0) this.#waiting.delete(unsent);
  }

  /**
   * The connections are being closed; those on which something was not taken are cut after `lingerMs`. Node:http2 waits for the
   * write under way, of a process that is stopped for ever, and the server waits for node:http2. A call does not know its
   * connection any more when that is being closed.
   */
  close(lingerMs: number): void {
    const connections = new Set<Connection>();
    for (const { call } of this.#waiting) {
      const connection = connectionOf(call);
      if (connection !== undefined) connections.add(connection);
    }
    this.#timer?.cancel();
    this.#timer = this.#clock.after(lingerMs, () => {
      for (const connection of connections) cut(connection);
    });
  }

  #end(unsent: UnsentCall): void {
    this.drop(unsent, unsent.bytes);
    unsent.over = true;
  }

  #watch(unsent: UnsentCall): void {
    unsent.lateAt = this.#sweeps + unsent.patience;
    this.#waiting.add(unsent);
    this.#sweepLater();
  }

  /** One timer for all: calls come and go far more often than one is late. */
  #sweepLater(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return;
    this.#timer = this.#clock.after(sweepMs, () => {
      this.#timer = undefined;
      this.#sweep();
      this.#sweepLater();
    });
  }

  #sweep(): void {
    this.#sweeps++;
    for (const unsent of this.#waiting) {
      if (unsent.lateAt > this.#sweeps) continue;
      unsent.lateAt = Infinity;
      resetCall(unsent.call, this.#clock, () => this.#end(unsent));
    }
  }
}
