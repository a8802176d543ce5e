import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { QuorateError } from '../base/errors.js';
import { resultBytes } from '../mvcc/operation-bytes.js';
import type { OperationResult } from '../mvcc/operations.js';
import type { HandlerContext } from './handler-context.js';
import { refusal, withoutValue, type OperationRules } from './kv-codec.js';
import { toGrpcStatus } from './status.js';
import { decodeStreamRequest, writeStreamResult, type StreamOperation } from './stream-codec.js';
import { cappedTimeoutMs } from './timeouts.js';
import { WireWriter } from './wire-writer.js';

/** A message is closed at this size; with one more value of maximal size it stays below gRPC's usual 4 MiB. */
const messageBytesTarget = 1024 * 1024;

/** Of the results of some dozens of writes. */
const messageBytesExpected = 1024;

/** Results that wait for the caller to read. */
const backlogBytesMax = 32 * 1024 * 1024;

/** An encoded `StreamResponse` and how many results it has. */
interface Message {
  readonly bytes: Buffer;
  readonly results: number;
}

/**
 * One call of the `Stream` method. The results of a turn of the event loop go out in one message. Memory is bounded:
 * an operation is open from its arrival until its result was handed to the transport; while too many are open the
 * call is not read, and while too many bytes wait for the caller, values are left out of results.
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
  #backlogBytes = 0;

  constructor(call: ServerDuplexStream<Buffer, Buffer>, context: HandlerContext, onClose: () => void) {
    this.#call = call;
    this.#context = context;
    this.#onClose = onClose;
    this.#openMax = Math.max(1, Math.floor(context.limits.nodeOperationsInFlightMax / 4));
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
    const fits = this.#backlogBytes + this.#writer.length + resultBytes(result) <= backlogBytesMax;
    writeStreamResult(this.#writer, id, fits ? result : withoutValue(result, 'too many results wait to be read'));
    this.#writerResults++;
    if (this.#writer.length >= messageBytesTarget) this.#closeMessage();
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#context.clock.endOfTurn(() => this.#flush());
  }

  #closeMessage(): void {
    if (this.#writerResults === 0) return;
    const bytes = this.#writer.finish();
    this.#messages.push({ bytes, results: this.#writerResults });
    this.#backlogBytes += bytes.length;
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
      this.#blocked = !this.#call.write(bytes);
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
    this.#onClose();
  }
}
