import { Metadata, type ClientDuplexStream, type Client as GrpcClient } from '@grpc/grpc-js';
import { DecodeError } from '../base/coding.js';
import type { QuorateError } from '../base/errors.js';
import { kvMethods } from '../rpc/services.js';
import { decodeStreamResponse, writeStreamOperation } from '../rpc/stream-codec.js';
import { answerTimeoutMs } from '../rpc/timeouts.js';
import { WireWriter } from '../rpc/wire-writer.js';
import type { MessageLimits } from '../rpc/message-limits.js';
import type { OperationResult } from '../rpc/public-types.js';
import { connectTimeoutMs, noConnection, openChannel, untilConnected } from './channel.js';
import { OperationQueue } from './operation-queue.js';
import type { OperationState, PendingOperation } from './pending-operation.js';
import type { Reachability } from './reachability.js';
import { lossErrors } from './stream-loss.js';

/** Where nodes take more: of many operations, a node answers the first while the others are on their way. */
const messageMax: MessageLimits = { operationsMax: 1024, bytesMax: 512 * 1024 };

export interface NodeConnectionOptions {
  readonly operationsInFlightMax: number;
  /** What nodes take, as is known now. */
  readonly messageLimits: () => MessageLimits;
}

type StreamCall = ClientDuplexStream<Buffer, Buffer>;

type ConnectionState =
  | { readonly type: 'idle' }
  | { readonly type: 'connecting'; readonly channel: GrpcClient; readonly startMs: number }
  | { readonly type: 'open'; readonly channel: GrpcClient; readonly call: StreamCall }
  | { readonly type: 'closed' };

export interface NodeConnectionEvents {
  /** The node answered. */
  onResult(operation: PendingOperation, result: OperationResult): void;
  /** The connection broke or was not had; whether the operation had been sent says its state. */
  onLost(operation: PendingOperation, error: QuorateError): void;
}

/**
 * The `Stream` to one node. What one turn of the event loop queues goes out in one message. Nothing is sent before
 * the connection is up, so that "sent" means that the node may have it. A connection that fails gives its operations
 * back, and the node is left alone for a while (`reachability`).
 */
export class NodeConnection {
  readonly address: string;
  readonly #options: NodeConnectionOptions;
  readonly #reachability: Reachability;
  readonly #events: NodeConnectionEvents;
  #state: ConnectionState = { type: 'idle' };
  /** Of each operation in the queue. */
  readonly #queued: OperationState;
  readonly #queue = new OperationQueue();
  readonly #sent = new Map<number, PendingOperation>();
  #nextId = 1;
  /** Messages on the stream that is open. */
  #messages = 0;
  #flushScheduled = false;
  /** The transport is full; `drain` follows. */
  #blocked = false;

  constructor(
    address: string,
    options: NodeConnectionOptions,
    dependencies: { readonly reachability: Reachability; readonly events: NodeConnectionEvents },
  ) {
    this.address = address;
    this.#queued = { type: 'queued', address };
    this.#options = options;
    this.#reachability = dependencies.reachability;
    this.#events = dependencies.events;
  }

  /** Whether it has no operations. */
  get isIdle(): boolean {
    return this.#queue.waiting === 0 && this.#sent.size === 0;
  }

  enqueue(operation: PendingOperation): void {
    operation.state = this.#queued;
    this.#queue.push(operation);
    this.#scheduleFlush();
  }

  /** One of its operations was settled, and was this before: its place is free, an answer will be dropped. */
  forget(before: OperationState): void {
    if (before.type === 'queued') this.#queue.letGo();
    else if (before.type === 'sent' && this.#sent.delete(before.id)) this.#flushIfWaiting();
  }

  close(): void {
    this.#leave({ type: 'closed' });
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      if (this.#state.type === 'open') this.#flush(this.#state.call);
      else if (this.#state.type === 'idle') this.#connect();
    });
  }

  #flushIfWaiting(): void {
    if (this.#queue.waiting > 0) this.#scheduleFlush();
  }

  #flush(call: StreamCall): void {
    const nowMs = performance.now();
    const { operationsInFlightMax, messageLimits } = this.#options;
    const { operationsMax, bytesMax } = lower(messageMax, messageLimits());
    while (this.#queue.waiting > 0 && !this.#blocked) {
      const places = operationsInFlightMax - this.#sent.size;
      if (places <= 0) return;
      const { operations, bytes } = this.#queue.take({ places, operationsMax, bytesMax });
      const writer = new WireWriter(bytes);
      const message = ++this.#messages;
      for (const operation of operations) {
        const id = this.#nextId++;
        operation.state = { type: 'sent', address: this.address, id, message };
        this.#sent.set(id, operation);
        const timeoutMs = Math.max(1, Math.floor(answerTimeoutMs(operation.deadlineMs - nowMs)));
        writeStreamOperation(writer, { id, bytes: operation.bytes, timeoutMs });
      }
      this.#blocked = !call.write(writer.finish());
    }
  }

  #connect(): void {
    if (this.#queue.waiting === 0) return;
    const channel = openChannel(this.address);
    this.#state = { type: 'connecting', channel, startMs: performance.now() };
    untilConnected(channel, connectTimeoutMs, (result) => {
      if (this.#state.type !== 'connecting' || this.#state.channel !== channel) return;
      if (result === 'connected') this.#open(channel);
      else this.#fail(noConnection(this.address, result));
    });
  }

  #open(channel: GrpcClient): void {
    const { path, requestSerialize, responseDeserialize } = kvMethods.Stream;
    const call = channel.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
    this.#state = { type: 'open', channel, call };
    this.#messages = 0;
    this.#blocked = false;
    const isCurrent = (): boolean => this.#state.type === 'open' && this.#state.call === call;
    call.on('data', (bytes: Buffer) => {
      if (isCurrent()) this.#receive(bytes);
    });
    call.on('drain', () => {
      this.#blocked = false;
      this.#scheduleFlush();
    });
    call.on('error', (error: unknown) => {
      if (isCurrent()) this.#fail(`the stream to ${this.address} broke`, error);
    });
    call.on('end', () => {
      if (isCurrent()) this.#fail(`${this.address} ended the stream`);
    });
    this.#flush(call);
  }

  #receive(bytes: Buffer): void {
    let results: ReturnType<typeof decodeStreamResponse>;
    try {
      results = decodeStreamResponse(bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#fail(`${this.address} sent what is no stream response: ${error.message}`);
      return;
    }
    this.#reachability.answered(this.address);
    for (const { id, result } of results) {
      const operation = this.#sent.get(id);
      if (operation === undefined) continue;
      this.#sent.delete(id);
      this.#events.onResult(operation, result);
    }
    this.#flushIfWaiting();
  }

  /** Gives back what is queued and what was sent. */
  #fail(what: string, streamError?: unknown): void {
    const nowMs = performance.now();
    const tookMs = this.#state.type === 'connecting' ? nowMs - this.#state.startMs : 0;
    this.#reachability.failed(this.address, { nowMs, tookMs });
    this.#leave({ type: 'idle' });
    const unsent = this.#queue.takeAll();
    const sent = [...this.#sent.values()];
    this.#sent.clear();
    for (const operation of unsent) operation.state = { type: 'waiting', untilMs: nowMs };
    const lost = lossErrors(what, streamError);
    for (const operation of sent) {
      const { state } = operation;
      if (state.type === 'sent') this.#events.onLost(operation, lost.ofMessage(state.message));
    }
    for (const operation of unsent) this.#events.onLost(operation, lost.unsent);
  }

  #leave(next: ConnectionState): void {
    const left = this.#state;
    this.#state = next;
    if (left.type === 'open') left.call.cancel();
    if (left.type === 'open' || left.type === 'connecting') left.channel.close();
  }
}

function lower(a: MessageLimits, b: MessageLimits): MessageLimits {
  return {
    operationsMax: Math.min(a.operationsMax, b.operationsMax),
    bytesMax: Math.min(a.bytesMax, b.bytesMax),
  };
}
