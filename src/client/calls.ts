import { Client as GrpcClient, credentials, Metadata, type ClientReadableStream } from '@grpc/grpc-js';
import { QuorateError } from '../base/errors.js';
import { kvMethods, type BytesMethod } from '../rpc/services.js';
import { fromGrpcError } from '../rpc/status.js';
import { channelOptions } from './node-connection.js';
import { backoffMs, cancelledError, finalError } from './retry.js';

export interface CallLimits {
  /** By `performance.now()`. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A method with an empty request. */
export interface CallKind<Response> {
  readonly method: BytesMethod;
  readonly decode: (bytes: Uint8Array) => Response;
}

/** Of one attempt at one node, so that a node which hangs does not use up the time of all. */
const attemptMsMax = 2000;

const unanswered = { maybeApplied: false, lastError: undefined };

/** The calls that do not go through a `Stream`: one channel a node, opened at its first call. They change nothing. */
export class Calls {
  readonly #channels = new Map<string, GrpcClient>();
  #closed = false;

  /** Asks one node after the other until one answers. Throws QuorateError. */
  async anywhere<Response>(
    { method, decode }: CallKind<Response>,
    addresses: readonly string[],
    limits: CallLimits,
  ): Promise<Response> {
    let lastError: QuorateError | undefined;
    for (let attempts = 1; ; attempts++) {
      const remainingMs = limits.deadlineMs - performance.now();
      if (remainingMs <= 0) throw unavailable(addresses, lastError);
      const address = addresses[(attempts - 1) % addresses.length];
      try {
        return decode(await this.#unary(address, method, Math.min(remainingMs, attemptMsMax), limits.signal));
      } catch (error) {
        lastError = fromGrpcError(error);
        if (limits.signal?.aborted === true) throw cancelledError(limits.signal.reason, unanswered);
        if (!lastError.retryable && lastError.code !== 'DEADLINE_EXCEEDED') throw finalError(lastError, false);
      }
      const rounds = Math.ceil(attempts / addresses.length);
      if (attempts % addresses.length === 0) await delay(backoffMs(rounds + 1, Math.random()), limits);
    }
  }

  /** Starts a scan at one node. The caller cancels the call when it stops to read. */
  scan(address: string, request: Buffer, deadlineMs: number): ClientReadableStream<Buffer> {
    const { path, requestSerialize, responseDeserialize } = kvMethods.Scan;
    const deadline = Date.now() + (deadlineMs - performance.now());
    return this.#channel(address).makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      { deadline },
    );
  }

  close(): void {
    this.#closed = true;
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #unary(address: string, method: BytesMethod, timeoutMs: number, signal: AbortSignal | undefined): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = this.#channel(address).makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        Buffer.alloc(0),
        new Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          signal?.removeEventListener('abort', cancel);
          if (error !== null) reject(error);
          else resolve(response ?? Buffer.alloc(0));
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel);
      if (signal?.aborted === true) cancel();
    });
  }

  #channel(address: string): GrpcClient {
    if (this.#closed) throw new QuorateError('CANCELLED', 'the client is closed');
    let channel = this.#channels.get(address);
    if (channel === undefined) {
      channel = new GrpcClient(address, credentials.createInsecure(), channelOptions);
      this.#channels.set(address, channel);
    }
    return channel;
  }
}

/** Sleeps, at most until the deadline; rejects with CANCELLED when the signal comes. */
export function delay(ms: number, { deadlineMs, signal }: CallLimits): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      clearTimeout(timer);
      reject(cancelledError(signal?.reason, unanswered));
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', cancel);
        resolve();
      },
      Math.max(0, Math.min(ms, deadlineMs - performance.now())),
    );
    signal?.addEventListener('abort', cancel);
    if (signal?.aborted === true) cancel();
  });
}

function unavailable(addresses: readonly string[], lastError: QuorateError | undefined): QuorateError {
  const reason = lastError === undefined ? '' : `: ${lastError.message}`;
  return new QuorateError('UNAVAILABLE', `none of ${addresses.join(', ')} answered${reason}`, { cause: lastError });
}
