import type { ServerDuplexStream } from '@grpc/grpc-js';
import { defined } from '../base/assert.js';
import type { QuorateError } from '../base/errors.js';
import { resultBytes } from '../mvcc/operation-bytes.js';
import type { OperationResult } from '../mvcc/operations.js';
import type { HandlerContext } from './handler-context.js';
import { refusal, withoutValue, type OperationRules } from './kv-codec.js';
import { toGrpcStatus } from './status.js';
import { decodeStreamRequest, writeStreamResult, type StreamOperation } from './stream-codec.js';
import { cappedTimeoutMs } from './timeouts.js';
import type { UnsentCall } from './unsent-answers.js';
import { WireWriter } from './wire-writer.js';

/** A message is closed before it grows beyond this, but for a single result of more: below gRPC's usual 4 MiB. */
const messageBytesTarget = 1024 * 1024;

/** Of the results of some dozens of writes. */
const messageBytesExpected = 1024;

/** What the messages around a result add to it, and room that the writer asks for ahead. */
const framingBytes = 64;

/** An encoded `StreamResponse` and how many results it has. */
interface Message {
  readonly bytes: Buffer;
  readonly results: number;
}

/**
 * One call of the `Stream` method. The results of a turn of the event loop go out in one message. Memory is bounded:
 * an operation is open from its arrival until its result was handed to the transport; while too many are open the
 * call is not read, and while too many bytes wait for the caller, here and in the transport, values are left out of
 * results. A caller that takes nothing for long is reset.
 */
export class OperationStream {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #context: HandlerContext;
  readonly #rules: OperationRules;
  readonly #openMax: number;
  readonly #onClose: () => void;
  /** `reading`: the caller may send more. `finishing`: it may not; what is open is answered first. */
  #state: 'reading' | 'finishing' | 'closed' = 'reading';
  /** Messages. */
  #received = 0;
  #open = 0;
  #paused = false;
  /** The transport is full; `drain` follows. */
  #blocked = false;
  #flushScheduled = false;
  #writer = new WireWriter(messageBytesExpected);
  #writerResults = 0;
  #messages: Message[] = [];
  /** Of `#messages` and the writer. */
  #backlogBytes = 0;
  readonly #unsent: UnsentCall;
  readonly #unsentBytesMax: number;
  /** Bytes of the messages that the transport has, in order. */
  readonly #sending: number[] = [];
  /** One for all messages, since there may be as many of them as operations. */
  readonly #onSent = (): void =>
    this.#context.unsent.sent(this.#unsent, defined(this.#sending.shift(), 'a message that was sent'));

  constructor(call: ServerDuplexStream<Buffer, Buffer>, context: HandlerContext, onClose: () => void) {
    this.#call = call;
    this.#context = context;
    this.#onClose = onClose;
    this.#openMax = Math.max(1, Math.floor(context.limits.nodeOperationsInFlightMax / 4));
    // The rest is for others, while the caller of this one does not read.
    this.#unsentBytesMax = context.limits.unsentAnswerBytesMax / 4;
    this.#unsent = context.unsent.of(call, context.timeouts.maxMs);
    this.#rules = {
      operationsMax: context.limits.batchOperationsMax,
      missingRequestId: () => context.kv.newRequestId(),
    };
    call.on('data', (bytes: Buffer) => this.#receive(bytes));
    call.on('end', () => this.finish());
    call.on('drain', () => this.#unblock());
    call.on('cancelled', () => this.#close());
  }

  /** Takes no more operations; answers those that are open, then ends the call. */
  finish(): void {
    if (this.#state !== 'reading') return;
    this.#state = 'finishing';
    this.#endIfDone();
  }

  #receive(bytes: Buffer): void {
    if (this.#state !== 'reading') return;
    this.#received++;
    let operations: StreamOperation[];
    try {
      operations = decodeStreamRequest(bytes, this.#rules);
    } catch (error) {
      this.#fail(refusal(error));
      return;
    }
    this.#open += operations.length;
    if (this.#open >= this.#openMax && !this.#paused) {
      this.#paused = true;
      this.#call.pause();
    }
    const { gate, timeouts } = this.#context;
    for (const { id, operation, timeoutMs } of operations) {
      gate.submit(operation, cappedTimeoutMs(timeoutMs, timeouts), (result) => this.#answer(id, result));
    }
  }

  #answer(id: number, result: OperationResult): void {
    if (this.#state === 'closed') return;
    const kept = this.#fitting(result);
    const writer = this.#writerFor(resultBytes(kept));
    const before = writer.length;
    writeStreamResult(writer, id, kept);
    this.#writerResults++;
    const written = writer.length - before;
    this.#backlogBytes += written;
    this.#context.unsent.add(this.#unsent, written);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#context.clock.endOfTurn(() => this.#flush());
  }

  #fitting(result: OperationResult): OperationResult {
    if (this.#unsent.bytes + resultBytes(result) > this.#unsentBytesMax) {
      return withoutValue(result, 'too many results wait to be read');
    }
    return this.#context.unsent.fitting(result);
  }

  /** Messages of about the target's size, and large values in a buffer of theirs: one that doubles may be half empty. */
  #writerFor(bytes: number): WireWriter {
    if (this.#writer.length + bytes > messageBytesTarget) this.#closeMessage();
    if (this.#writerResults === 0 && bytes > messageBytesExpected) this.#writer = new WireWriter(bytes + framingBytes);
    return this.#writer;
  }

  #closeMessage(): void {
    if (this.#writerResults === 0) return;
    const bytes = this.#writer.finish();
    this.#messages.push({ bytes, results: this.#writerResults });
    this.#writer = new WireWriter(messageBytesExpected);
    this.#writerResults = 0;
  }

  #flush(): void {
    this.#flushScheduled = false;
    if (this.#state === 'closed' || this.#blocked) return;
    this.#closeMessage();
    let sent = 0;
    while (sent < this.#messages.length && !this.#blocked) {
      const { bytes, results } = this.#messages[sent++];
      this.#backlogBytes -= bytes.length;
      this.#open -= results;
      this.#sending.push(bytes.length);
      this.#blocked = !this.#call.write(bytes, this.#onSent);
    }
    this.#messages.splice(0, sent);
    if (this.#paused && this.#open <= this.#openMax / 2) {
      this.#paused = false;
      this.#call.resume();
    }
    this.#endIfDone();
  }

  #unblock(): void {
    this.#blocked = false;
    this.#flush();
  }

  #endIfDone(): void {
    if (this.#state !== 'finishing' || this.#open > 0) return;
    this.#close();
    this.#call.end();
  }

  /** The last message is refused. */
  #fail(error: QuorateError): void {
    this.#close();
    this.#call.emit('error', toGrpcStatus(error, this.#received));
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#messages = [];
    this.#context.unsent.drop(this.#unsent, this.#backlogBytes);
    this.#backlogBytes = 0;
    this.#onClose();
  }
}
