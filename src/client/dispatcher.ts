import { QuorateError } from '../base/errors.js';
import { deferred, type Deferred } from '../base/promises.js';
import type { OperationResult } from '../rpc/public-types.js';
import { NodeConnection, type NodeConnectionEvents } from './node-connection.js';
import type { ClientSettings } from './options.js';
import type { PendingOperation } from './pending-operation.js';
import type { Reachability } from './reachability.js';
import {
  cancelledError,
  deadlineError,
  decideRetry,
  finalError,
  hintsAtStaleMap,
  moreTelling,
  tryElsewhere,
} from './retry.js';
import { chooseAddress, type RoutingTable } from './routing.js';

/** Deadlines and the times of retries are looked at this often, for all operations together. */
const tickMs = 10;

export interface DispatcherEvents {
  /** An answer says that the shard map may be out of date. */
  onStaleMap(): void;
}

/**
 * Brings operations to nodes until each has its answer: routes, retries, keeps deadlines. What is open is bounded in
 * number and bytes; what comes beyond is refused. An operation is answered exactly once.
 */
export class Dispatcher {
  readonly #settings: ClientSettings;
  readonly #reachability: Reachability;
  readonly #events: DispatcherEvents;
  readonly #connections = new Map<string, NodeConnection>();
  readonly #open = new Set<PendingOperation>();
  #bytesOpen = 0;
  #table: RoutingTable;
  #ticker: NodeJS.Timeout | undefined;
  #drained: Deferred<void> | undefined;

  constructor(
    settings: ClientSettings,
    table: RoutingTable,
    dependencies: { readonly reachability: Reachability; readonly events: DispatcherEvents },
  ) {
    this.#settings = settings;
    this.#table = table;
    this.#reachability = dependencies.reachability;
    this.#events = dependencies.events;
  }

  get open(): number {
    return this.#open.size;
  }

  get table(): RoutingTable {
    return this.#table;
  }

  /** Routes by this table from now on; connections to nodes that it does not know are closed when they are idle. */
  useTable(table: RoutingTable): void {
    this.#table = table;
    this.#reachability.retain(table.addresses);
    for (const [address, connection] of this.#connections) {
      if (table.addresses.includes(address) || !connection.isIdle) continue;
      connection.close();
      this.#connections.delete(address);
    }
  }

  submit(operation: PendingOperation): void {
    const { operationsOpenMax, bytesOpenMax } = this.#settings;
    if (this.#drained !== undefined) {
      operation.settle(failed(new QuorateError('CANCELLED', 'the client is closed')));
      return;
    }
    if (this.#open.size >= operationsOpenMax || this.#bytesOpen + operation.bytes.length > bytesOpenMax) {
      const message = `${this.#open.size} operations of ${this.#bytesOpen} bytes wait in this client already`;
      operation.settle(failed(new QuorateError('OVERLOADED', message, { retryAfterMs: tickMs })));
      return;
    }
    this.#open.add(operation);
    this.#bytesOpen += operation.bytes.length;
    this.#ticker ??= setTimeout(() => this.#tick(), tickMs);
    this.#dispatch(operation, operation.startMs);
  }

  /** No effect on an operation that has its answer. */
  cancel(operation: PendingOperation, reason: unknown): void {
    if (this.#open.has(operation)) this.#settle(operation, failed(cancelledError(reason, operation)));
  }

  /** Takes nothing more; resolves when everything is answered, at the latest when the last deadline is over. */
  async close(): Promise<void> {
    this.#drained ??= deferred<void>();
    if (this.#open.size === 0) this.#drained.resolve();
    await this.#drained.promise;
    clearTimeout(this.#ticker);
    for (const connection of this.#connections.values()) connection.close();
  }

  #dispatch(operation: PendingOperation, nowMs: number): void {
    const { key, avoid } = operation;
    const isAvailable = (node: string): boolean => this.#reachability.isAvailable(node, nowMs);
    const address = chooseAddress(this.#table, key, isAvailable, avoid);
    if (address === undefined) {
      operation.state = { type: 'waiting', untilMs: nowMs + tickMs };
      operation.lastError ??= new QuorateError('UNAVAILABLE', 'no node is available');
      return;
    }
    if (avoid?.has(address) === true) avoid.clear();
    this.#connection(address).enqueue(operation);
  }

  #connection(address: string): NodeConnection {
    const existing = this.#connections.get(address);
    if (existing !== undefined) return existing;
    const events: NodeConnectionEvents = {
      onResult: (operation, result) => {
        if (result.type === 'failed') this.#attemptFailed(operation, result.error, address);
        else this.#settle(operation, result);
      },
      onLost: (operation, error) => this.#attemptFailed(operation, error, address),
    };
    const { operationsInFlightMax } = this.#settings;
    const options = { operationsInFlightMax, messageLimits: () => this.#table.messageLimits };
    const connection = new NodeConnection(address, options, { reachability: this.#reachability, events });
    this.#connections.set(address, connection);
    return connection;
  }

  #attemptFailed(operation: PendingOperation, error: QuorateError, address: string): void {
    const nowMs = performance.now();
    operation.attempts++;
    operation.lastError = moreTelling(operation.lastError, error);
    if (tryElsewhere(error)) (operation.avoid ??= new Set()).add(address);
    else operation.avoid = undefined;
    if (operation.isWrite && error.outcome === 'unknown') operation.attemptMaybeApplied = true;
    if (hintsAtStaleMap(error)) this.#events.onStaleMap();
    const { attempts, startMs, deadlineMs } = operation;
    const decision = decideRetry({ error, attempts, nowMs, startMs, deadlineMs, random: Math.random() });
    if (decision.type === 'retry') operation.state = { type: 'waiting', untilMs: decision.atMs };
    else this.#settle(operation, failed(finalError(operation.lastError, operation.attemptMaybeApplied)));
  }

  #settle(operation: PendingOperation, result: OperationResult): void {
    const { state } = operation;
    this.#open.delete(operation);
    this.#bytesOpen -= operation.bytes.length;
    operation.settle(result);
    if ('address' in state) this.#connections.get(state.address)?.forget(state);
    if (this.#open.size === 0) this.#drained?.resolve();
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const operation of this.#open) {
      if (operation.deadlineMs <= nowMs) {
        const error = deadlineError(operation.deadlineMs - operation.startMs, operation);
        this.#settle(operation, failed(error));
      } else if (operation.state.type === 'waiting' && operation.state.untilMs <= nowMs) {
        this.#dispatch(operation, nowMs);
      }
    }
    this.#ticker = this.#open.size === 0 ? undefined : setTimeout(() => this.#tick(), tickMs);
  }
}

function failed(error: QuorateError): OperationResult {
  return { type: 'failed', error };
}
