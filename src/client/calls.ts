import { Metadata, type ClientReadableStream, type Client as GrpcClient } from '@grpc/grpc-js';
import { onAbort } from '../base/abort.js';
import { QuorateError } from '../base/errors.js';
import { kvMethods, type BytesMethod } from '../rpc/services.js';
import { fromGrpcError } from '../rpc/status.js';
import { connectTimeoutMs, noConnection, openChannel, untilConnected } from './channel.js';
import type { Reachability } from './reachability.js';
import { backoffMs, cancelledError, deadlineError, finalError, type Unanswered } from './retry.js';

export interface CallLimits {
  /** By `performance.now()`. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface CallKind<Response> {
  readonly method: BytesMethod;
  /** Empty without one. */
  readonly request?: Buffer;
  /** Of one attempt at one node. Default 2000. */
  readonly attemptMsMax?: number;
  /** Whether it may have taken effect when no answer came. Default false. */
  readonly changes?: boolean;
  readonly decode: (bytes: Uint8Array) => Response;
}

/** Of one attempt at one node, so that a node which hangs does not use up the time of all. */
const attemptMsDefault = 2000;

const unanswered = { maybeApplied: false, lastError: undefined };

/**
 * The calls that do not go through a `Stream`: one channel a node, opened at its first call. They change nothing, or the same when
 * repeated.
 */
export class Calls {
  readonly #reachability: Reachability;
  readonly #channels = new Map<string, GrpcClient>();
  #closed = false;

  constructor(dependencies: { readonly reachability: Reachability }) {
    this.#reachability = dependencies.reachability;
  }

  /** Asks one node after the other until one answers. Throws QuorateError. */
  async anywhere<Response>(
    kind: CallKind<Response>,
    addresses: readonly string[],
    limits: CallLimits,
  ): Promise<Response> {
    const { method, request = Buffer.alloc(0), attemptMsMax = attemptMsDefault, changes = false } = kind;
    const startMs = performance.now();
    const tried = new Set<string>();
    let lastError: QuorateError | undefined;
    let maybeApplied = false;
    for (let rounds = 1; ;) {
      const nowMs = performance.now();
      if (nowMs >= limits.deadlineMs) {
        throw timeUp(addresses, limits.deadlineMs - startMs, { maybeApplied, lastError });
      }
      const address = this.#next(addresses, tried, nowMs);
      if (address === undefined) {
        tried.clear();
        await delay(backoffMs(++rounds, Math.random()), limits);
        continue;
      }
      tried.add(address);
      try {
        const attempt = { deadlineMs: Math.min(limits.deadlineMs, nowMs + attemptMsMax), signal: limits.signal };
        return kind.decode(await this.#unary(address, method, request, attempt));
      } catch (error) {
        const failure = fromGrpcError(error);
        maybeApplied ||= changes && failure.outcome === 'unknown';
        if (limits.signal?.aborted === true) throw cancelledError(limits.signal.reason, { maybeApplied, lastError });
        if (failure.retryable) lastError = failure;
        else if (failure.code !== 'DEADLINE_EXCEEDED') throw finalError(failure, maybeApplied);
      }
    }
  }

  /** Starts a scan at one node, once there is a connection. The caller cancels the call when it stops to read. */
  async scan(address: string, request: Buffer, limits: CallLimits): Promise<ClientReadableStream<Buffer>> {
    const channel = await this.#connected(address, limits);
    const { path, requestSerialize, responseDeserialize } = kvMethods.Scan;
    const options = { deadline: epochMs(limits.deadlineMs) };
    return channel.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      options,
    );
  }

  close(): void {
    this.#closed = true;
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  /** One that was not tried, available ones first; undefined after the last. */
  #next(addresses: readonly string[], tried: ReadonlySet<string>, nowMs: number): string | undefined {
    let fallback: string | undefined;
    for (const address of addresses) {
      if (tried.has(address)) continue;
      if (this.#reachability.isAvailable(address, nowMs)) return address;
      fallback ??= address;
    }
    return fallback;
  }

  async #unary(address: string, method: BytesMethod, request: Buffer, limits: CallLimits): Promise<Buffer> {
    const channel = await this.#connected(address, limits);
    return new Promise((resolve, reject) => {
      let stopListening = (): void => undefined;
      const call = channel.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        { deadline: epochMs(limits.deadlineMs) },
        (error, response) => {
          stopListening();
          if (error !== null) reject(error);
          else resolve(response ?? Buffer.alloc(0));
        },
      );
      stopListening = onAbort(limits.signal, () => call.cancel());
    });
  }

  /**
   * The node's channel when it is up, so that an address where nothing answers costs `connectTimeoutMs` and not the
   * time of the whole call.
   */
  #connected(address: string, { deadlineMs, signal }: CallLimits): Promise<GrpcClient> {
    const channel = this.#channel(address);
    const startMs = performance.now();
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(signal, () => reject(cancelledError(signal?.reason, unanswered)));
      const timeoutMs = Math.min(connectTimeoutMs, deadlineMs - startMs);
      untilConnected(channel, timeoutMs, (result) => {
        stopListening();
        if (result === 'connected') {
          this.#reachability.answered(address);
          resolve(channel);
        } else if (this.#closed) reject(closedError());
        else if (result === 'timedOut' && timeoutMs < connectTimeoutMs) reject(deadlineError(timeoutMs, unanswered));
        else {
          const nowMs = performance.now();
          this.#reachability.failed(address, { nowMs, tookMs: nowMs - startMs });
          reject(new QuorateError('UNAVAILABLE', noConnection(address, result)));
        }
      });
    });
  }

  #channel(address: string): GrpcClient {
    if (this.#closed) throw closedError();
    let channel = this.#channels.get(address);
    if (channel === undefined) {
      channel = openChannel(address);
      this.#channels.set(address, channel);
    }
    return channel;
  }
}

function closedError(): QuorateError {
  return new QuorateError('CANCELLED', 'the client is closed');
}

/** gRPC takes deadlines by the wall clock. */
function epochMs(deadlineMs: number): number {
  return Date.now() + (deadlineMs - performance.now());
}

/** Sleeps, at most until the deadline; rejects with CANCELLED when the signal comes. */
export function delay(ms: number, { deadlineMs, signal }: CallLimits): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => {
        stopListening();
        resolve();
      },
      Math.max(0, Math.min(ms, deadlineMs - performance.now())),
    );
    const stopListening = onAbort(signal, () => {
      clearTimeout(timer);
      reject(cancelledError(signal?.reason, unanswered));
    });
  });
}

/** UNAVAILABLE where nodes were found out of reach; a caller who gave no time for that has only run out of time. */
function timeUp(addresses: readonly string[], timeoutMs: number, known: Unanswered): QuorateError {
  const { lastError, maybeApplied } = known;
  if (lastError === undefined) return deadlineError(timeoutMs, known);
  const message = `none of ${addresses.join(', ')} answered: ${lastError.message}`;
  return new QuorateError('UNAVAILABLE', message, {
    outcome: maybeApplied ? 'unknown' : 'notApplied',
    cause: lastError,
  });
}
