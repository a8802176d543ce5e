import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { HealthImplementation, type ServingStatus } from 'grpc-health-check';
import { QuorateError } from '../base/errors.js';
import type { Limits } from '../base/limits.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import { adminHandlers } from './admin-handlers.js';
import type { AdminBackend, KvBackend } from './backend.js';
import { Gate } from './gate.js';
import type { HandlerContext } from './handler-context.js';
import { OperationStream } from './operation-stream.js';
import { addReflection } from './reflection.js';
import { scanHandler } from './scan-handler.js';
import { adminMethods, adminServiceName, kvMethods, kvServiceName } from './services.js';
import { unaryHandlers } from './unary-handlers.js';
import { UnsentAnswers } from './unsent-answers.js';

export interface GrpcServerOptions {
  readonly kv: KvBackend;
  readonly admin: AdminBackend;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'after' | 'endOfTurn'>;
  /** Unix milliseconds by the wall clock: deadlines of gRPC calls are given in it. */
  readonly nowEpochMs: () => number;
  /** For operations whose caller set no deadline. Default 5000. */
  readonly defaultTimeoutMs?: number;
  /** Longer deadlines are cut to this. Default 300 000 (5 minutes). */
  readonly timeoutMsMax?: number;
}

/** What connections get to send their last answers when the node stops. */
const connectionLingerMs = 200;

/**
 * The gRPC face of a node: `Kv`, `Admin`, health and reflection. Starts as NOT_SERVING (health) while it answers all
 * the same. `drain` before `close` lets open operations finish.
 */
export class GrpcServer {
  readonly #server: Server;
  readonly #health: HealthImplementation;
  readonly #gate: Gate;
  readonly #unsent: UnsentAnswers;
  readonly #clock: Pick<Clock, 'after'>;
  readonly #logger: Logger;
  readonly #streams = new Set<OperationStream>();
  #address: string | undefined;

  constructor(options: GrpcServerOptions) {
    const { kv, limits } = options;
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#unsent = new UnsentAnswers(limits, options.clock);
    this.#gate = new Gate(kv, limits, this.#unsent);
    const context: HandlerContext = {
      kv,
      gate: this.#gate,
      unsent: this.#unsent,
      limits,
      timeouts: { defaultMs: options.defaultTimeoutMs ?? 5000, maxMs: options.timeoutMsMax ?? 300_000 },
      clock: options.clock,
      nowEpochMs: options.nowEpochMs,
    };
    this.#server = new Server({
      'grpc.max_receive_message_length': limits.requestBytesMax,
      'grpc.max_send_message_length': -1,
      // Not `grpc-node.max_session_memory`: it refuses calls without a hint, those of callers that do read, too.
      'grpc.max_concurrent_streams': limits.connectionCallsMax,
      'grpc.enable_channelz': 0,
    });
    this.#server.addService(kvMethods, {
      ...unaryHandlers(context),
      Scan: scanHandler(context),
      Stream: (call: ServerDuplexStream<Buffer, Buffer>) => this.#openStream(call, context),
    });
    this.#server.addService(adminMethods, { ...adminHandlers(options.admin, context) });
    this.#health = new HealthImplementation();
    this.setServing(false);
    this.#health.addToServer(this.#server);
    addReflection(this.#server);
  }

  /**
   * @param address `host:port`; port 0 picks one
   * @returns the address with the port that was really taken
   * @throws QuorateError (UNAVAILABLE) that names the address when it cannot be had
   */
  listen(address: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
        if (error !== null) {
          reject(listenError(address, error));
          return;
        }
        const bound = address.replace(/:\d+$/, `:${port}`);
        this.#address = bound;
        this.#logger.info('serving gRPC', { address: bound });
        resolve(bound);
      });
    });
  }

  /** What the health service says, overall and of each service. */
  setServing(serving: boolean): void {
    const status: ServingStatus = serving ? 'SERVING' : 'NOT_SERVING';
    for (const service of ['', kvServiceName, adminServiceName]) this.#health.setStatus(service, status);
  }

  /**
   * Refuses new operations with NODE_STOPPING, gives the open ones `graceMs` to finish, ends streams and closes
   * connections. The server is closed afterwards.
   */
  async drain(graceMs: number): Promise<void> {
    this.setServing(false);
    await this.#operationsFinished(graceMs);
    if (this.#gate.open > 0) this.#logger.warn('operations were cut off by the shutdown', { open: this.#gate.open });
    for (const stream of this.#streams) stream.finish();
    this.#endConnections(connectionLingerMs);
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
  }

  /** Cuts off whatever is open. */
  close(): void {
    this.#endConnections(0);
    this.#server.forceShutdown();
  }

  #operationsFinished(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(graceMs, resolve);
      void this.#gate.drain().then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** Tells clients to go away, and cuts after `lingerMs`. `forceShutdown` alone does not, where channelz is off. */
  #endConnections(lingerMs: number): void {
    this.#unsent.close(lingerMs);
    if (this.#address !== undefined) this.#server.drain(this.#address, lingerMs);
  }

  #openStream(call: ServerDuplexStream<Buffer, Buffer>, context: HandlerContext): void {
    const stream = new OperationStream(call, context, () => this.#streams.delete(stream));
    this.#streams.add(stream);
  }
}

function listenError(address: string, error: Error): QuorateError {
  // grpc-js puts what the operating system said into brackets behind words of its own.
  const said = /errors: \[(.*)\]$/.exec(error.message)?.[1] ?? error.message;
  const reason = said.includes('EADDRINUSE') ? 'the address is in use' : said;
  return new QuorateError('UNAVAILABLE', `cannot serve clients at ${address}: ${reason}`, {
    retryable: false,
    cause: error,
  });
}
