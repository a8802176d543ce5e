/**
 * One `Stream` to a node, as an impatient client has it: puts are sent whatever becomes of those before, nothing is tried
 * again, answers are only counted, and a stream that broke is followed by another. As many are open as the node reads of one stream, so that what is measured waits at
 * the node and not in this process's buffers. Messages are put together from operations that were encoded before.
 */
import type { Client as GrpcClient, ClientDuplexStream } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import type { Histogram } from 'hdr-histogram-js';

import { openChannel } from '../../src/client/channel.js';
import { kvMethods } from '../../src/rpc/services.js';
import { decodeStreamResponse, writeStreamOperation } from '../../src/rpc/stream-codec.js';
import { WireWriter } from '../../src/rpc/wire-writer.js';

/** What became of puts, of all streams together. */
export interface PutTally {
  admitted: number;
  /** Answered with OVERLOADED, and those of them without a hint when to come again. */
  refused: number;
  refusedWithoutHint: number;
  /** By the code of the answer, or by what the stream broke with before there was one. */
  readonly otherwiseFailed: Map<string, number>;
  /** Streams that broke, by what with. */
  readonly broken: Map<string, number>;
  /** Not sent: the node does not read so fast, and so many wait already. */
  heldBack: number;
  /** Of those admitted, in microseconds from when they were due. */
  readonly latencies: Histogram;
  readonly refusalLatencies: Histogram;
}

const timeoutMs = 10_000;
const messageOperationsMax = 256;
/** Operations that are sent and not answered. */
const openMax = 1024;
/** Operations that are due and not sent. */
const waitingMax = 256;
/** From a break to the next stream. */
const reopenMs = 100;

export class PutStream implements Disposable {
  readonly #channel: GrpcClient;
  #call: ClientDuplexStream<Buffer, Buffer> | undefined;
  readonly #tally: PutTally;
  /** When each operation that is open was due, by its id. */
  readonly #dueMs = new Map<number, number>();
  #waiting: { readonly bytes: Uint8Array; readonly dueMs: number }[] = [];
  #nextId = 1;
  #blocked = false;
  #openAtMs = 0;

  constructor(address: string, tally: PutTally) {
    this.#tally = tally;
    this.#channel = openChannel(address);
    this.#call = this.#openCall();
  }

  #openCall(): ClientDuplexStream<Buffer, Buffer> {
    const { path, requestSerialize, responseDeserialize } = kvMethods.Stream;
    const call = this.#channel.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
    call.on('data', (bytes: Buffer) => this.#receive(bytes));
    call.on('drain', () => {
      this.#blocked = false;
      this.flush();
    });
    call.on('error', ({ message }: Error) => this.#break(call, message));
    call.on('end', () => this.#break(call, 'the node ended it'));
    this.#blocked = false;
    return call;
  }

  get open(): number {
    return this.#dueMs.size + this.#waiting.length;
  }

  /**
   * @param bytes an encoded `Operation`, read when it is sent
   * @returns whether it will be sent
   */
  add(bytes: Uint8Array, dueMs: number): boolean {
    if (this.#waiting.length >= waitingMax) {
      this.#tally.heldBack++;
      return false;
    }
    this.#waiting.push({ bytes, dueMs });
    return true;
  }

  /** Sends what was added, as far as the transport takes it. */
  flush(): void {
    if (this.#call === undefined && performance.now() >= this.#openAtMs) this.#call = this.#openCall();
    const call = this.#call;
    if (call === undefined) return;
    let next = 0;
    const sendable = Math.min(this.#waiting.length, openMax - this.#dueMs.size);
    while (next < sendable && !this.#blocked) {
      const writer = new WireWriter(64 * 1024);
      const end = Math.min(sendable, next + messageOperationsMax);
      for (; next < end; next++) {
        const { bytes, dueMs } = this.#waiting[next];
        const id = this.#nextId++;
        this.#dueMs.set(id, dueMs);
        writeStreamOperation(writer, { id, bytes, timeoutMs });
      }
      this.#blocked = !call.write(writer.finish());
    }
    if (next > 0) this.#waiting = this.#waiting.slice(next);
  }

  #receive(bytes: Buffer): void {
    const nowMs = performance.now();
    for (const { id, result } of decodeStreamResponse(bytes)) {
      const dueMs = this.#dueMs.get(id);
      if (dueMs === undefined) continue;
      this.#dueMs.delete(id);
      const micros = Math.max(1, Math.round((nowMs - dueMs) * 1000));
      if (result.type === 'written') {
        this.#tally.admitted++;
        this.#tally.latencies.recordValue(micros);
      } else if (result.type === 'failed' && result.error.code === 'OVERLOADED') {
        this.#tally.refused++;
        if (result.error.retryAfterMs === undefined) this.#tally.refusedWithoutHint++;
        this.#tally.refusalLatencies.recordValue(micros);
      } else count(this.#tally.otherwiseFailed, result.type === 'failed' ? result.error.code : result.type);
    }
  }

  #break(call: ClientDuplexStream<Buffer, Buffer>, reason: string): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    this.#openAtMs = performance.now() + reopenMs;
    count(this.#tally.broken, reason);
    count(this.#tally.otherwiseFailed, `stream broke: ${reason}`, this.#dueMs.size);
    this.#dueMs.clear();
  }

  [Symbol.dispose](): void {
    const call = this.#call;
    this.#call = undefined;
    this.#openAtMs = Infinity;
    call?.cancel();
    this.#channel.close();
  }
}

function count(counts: Map<string, number>, of: string, by = 1): void {
  counts.set(of, (counts.get(of) ?? 0) + by);
}
