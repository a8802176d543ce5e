import { Client as GrpcClient, connectivityState, credentials, Metadata, type ClientDuplexStream } from '@grpc/grpc-js';
import { DecodeError } from '../base/coding.js';
import { QuorateError } from '../base/errors.js';
import { kvMethods } from '../rpc/services.js';
import { fromGrpcError } from '../rpc/status.js';
import { decodeStreamResponse, writeStreamOperation } from '../rpc/stream-codec.js';
import { answerTimeoutMs } from '../rpc/timeouts.js';
import { WireWriter } from '../rpc/wire-writer.js';
import type { OperationResult } from '../rpc/public-types.js';
import type { PendingOperation } from './pending-operation.js';
import { reconnectMs } from './retry.js';

/** A message is closed at this size; one operation always fits. */
const messageBytesTarget = 512 * 1024;
/** The default of the nodes' `batchOperationsMax`. */
const messageOperationsMax = 1024;
const connectTimeoutMs = 1000;

/** A node that hangs is noticed by unanswered pings, although its connection stays. */
export const channelOptions = {
  'grpc.keepalive_time_ms': 1000,
  'grpc.keepalive_timeout_ms': 1000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
};

type StreamCall = ClientDuplexStream<Buffer, Buffer>;

/** `down`: an attempt failed; the next one is not made before `untilMs`. */
type ConnectionState =
  | { readonly type: 'idle' }
  | { readonly type: 'connecting'; readonly channel: GrpcClient }
  | { readonly type: 'open'; readonly channel: GrpcClient; readonly call: StreamCall }
  | { readonly type: 'down'; readonly untilMs: number }
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
 * back; the next attempt backs off.
 */
export class NodeConnection {
  readonly address: string;
  readonly #operationsInFlightMax: number;
  readonly #events: NodeConnectionEvents;
  #state: ConnectionState = { type: 'idle' };
  #failures = 0;
  #queue: PendingOperation[] = [];
  readonly #sent = new Map<number, PendingOperation>();
  #nextId = 1;
  #flushScheduled = false;
  /** The transport is full; `drain` follows. */
  #blocked = false;

  constructor(address: string, operationsInFlightMax: number, events: NodeConnectionEvents) {
    this.address = address;
    this.#operationsInFlightMax = operationsInFlightMax;
    this.#events = events;
  }

  /** False while the node is known to be down. */
  isAvailable(nowMs: number): boolean {
    return this.#state.type === 'down' ? this.#state.untilMs <= nowMs : this.#state.type !== 'closed';
  }

  /** Whether it has no operations. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#sent.size === 0;
  }

  enqueue(operation: PendingOperation): void {
    operation.state = { type: 'queued', address: this.address };
    this.#queue.push(operation);
    this.#scheduleFlush();
  }

  /** The caller of a sent operation does not wait any more: its place is free, its answer will be dropped. */
  forget(id: number): void {
    if (this.#sent.delete(id) && this.#queue.length > 0) this.#scheduleFlush();
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
      else if (this.#state.type === 'idle' || this.#state.type === 'down') this.#connect();
    });
  }

  #flush(call: StreamCall): void {
    const nowMs = performance.now();
    let next = 0;
    while (next < this.#queue.length && !this.#blocked && this.#sent.size < this.#operationsInFlightMax) {
      const writer = new WireWriter(4096);
      let count = 0;
      while (
        next < this.#queue.length &&
        this.#sent.size < this.#operationsInFlightMax &&
        count < messageOperationsMax &&
        (count === 0 || writer.length + this.#queue[next].bytes.length <= messageBytesTarget)
      ) {
        const operation = this.#queue[next++];
        if (operation.state.type !== 'queued') continue;
        const id = this.#nextId++;
        operation.state = { type: 'sent', address: this.address, id };
        this.#sent.set(id, operation);
        const timeoutMs = Math.max(1, Math.floor(answerTimeoutMs(operation.deadlineMs - nowMs)));
        writeStreamOperation(writer, { id, bytes: operation.bytes, timeoutMs });
        count++;
      }
      if (count > 0) this.#blocked = !call.write(writer.finish());
    }
    this.#queue.splice(0, next);
  }

  #connect(): void {
    if (this.#queue.length === 0) return;
    const client = new GrpcClient(this.address, credentials.createInsecure(), channelOptions);
    this.#state = { type: 'connecting', channel: client };
    const channel = client.getChannel();
    const giveUpAt = Date.now() + connectTimeoutMs;
    const look = (): void => {
      if (this.#state.type !== 'connecting' || this.#state.channel !== client) return;
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) this.#open(client);
      else if (state === connectivityState.TRANSIENT_FAILURE) this.#fail(`no connection to ${this.address}`);
      else {
        channel.watchConnectivityState(state, giveUpAt, (error) => {
          if (error === undefined) look();
          else this.#failConnecting(client);
        });
      }
    };
    look();
  }

  #failConnecting(client: GrpcClient): void {
    if (this.#state.type !== 'connecting' || this.#state.channel !== client) return;
    this.#fail(`no connection to ${this.address} within ${connectTimeoutMs} ms`);
  }

  #open(channel: GrpcClient): void {
    const { path, requestSerialize, responseDeserialize } = kvMethods.Stream;
    const call = channel.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
    this.#state = { type: 'open', channel, call };
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
      if (isCurrent()) this.#fail(`the stream to ${this.address} broke`, fromGrpcError(error));
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
    this.#failures = 0;
    for (const { id, result } of results) {
      const operation = this.#sent.get(id);
      if (operation === undefined) continue;
      this.#sent.delete(id);
      this.#events.onResult(operation, result);
    }
    if (this.#queue.length > 0) this.#scheduleFlush();
  }

  /** Gives back what is queued and what was sent, and backs off. */
  #fail(what: string, cause?: QuorateError): void {
    this.#failures++;
    const untilMs = performance.now() + reconnectMs(this.#failures, Math.random());
    this.#leave({ type: 'down', untilMs });
    const message = cause === undefined ? what : `${what}: ${cause.message}`;
    // A status that is not worth a retry (an oversized message) would come again and again.
    const code = cause === undefined || cause.retryable || cause.code === 'CANCELLED' ? 'UNAVAILABLE' : cause.code;
    const unsentError = new QuorateError('UNAVAILABLE', message, { cause });
    const sentError = new QuorateError(code, message, { outcome: 'unknown', retryable: code === 'UNAVAILABLE', cause });
    const lost = this.#queue;
    const sent = [...this.#sent.values()];
    this.#queue = [];
    this.#sent.clear();
    for (const operation of sent) this.#events.onLost(operation, sentError);
    for (const operation of lost) if (operation.state.type === 'queued') this.#events.onLost(operation, unsentError);
  }

  #leave(next: ConnectionState): void {
    const left = this.#state;
    this.#state = next;
    if (left.type === 'open') left.call.cancel();
    if (left.type === 'open' || left.type === 'connecting') left.channel.close();
  }
}
