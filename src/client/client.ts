import { onAbort } from '../base/abort.js';
import { changeReplicasCall, nodeCall, type ReplicaNodes } from './change-replicas.js';
import { decodeClusterStatus, decodeShardMap } from '../rpc/admin-codec.js';
import type { ClusterStatus, ScanPage, ScanRecord, ShardMapView } from '../rpc/backend.js';
import type { MessageLimits } from '../rpc/message-limits.js';
import type { Operation, OperationResult, RequestId } from '../rpc/public-types.js';
import { adminMethods } from '../rpc/services.js';
import { checkObject, checkSignal, invalid, millisecondsOf } from './arguments.js';
import { Calls, type CallLimits } from './calls.js';
import { Dispatcher } from './dispatcher.js';
import { atomicBatch, batchOperations, deleteOperation, getOperation, putOperation } from './operations.js';
import { bytesInMessage } from './operation-queue.js';
import { clientSettings, type ClientOptions, type ClientSettings } from './options.js';
import { PendingOperation } from './pending-operation.js';
import { Reachability } from './reachability.js';
import { cancelledError } from './retry.js';
import { RequestIds } from './request-ids.js';
import { chooseAddress, initialTable, rangeOf, routingTable } from './routing.js';
import { scanPages, scanQuery, type ScanNodes } from './scan.js';
import type {
  AtomicBatchOptions,
  AtomicBatchResult,
  AtomicOperation,
  BatchOperation,
  BatchResult,
  Bytes,
  CallOptions,
  DeleteResult,
  GetResult,
  PutResult,
  ReadOptions,
  ScanOptions,
  WriteOptions,
} from './types.js';

const membershipMsDefault = 600_000;

const statusCall = { method: adminMethods.Status, decode: decodeClusterStatus };
const shardMapCall = { method: adminMethods.ShardMap, decode: decodeShardMap };

interface OperationLimits extends CallLimits {
  readonly startMs: number;
}

/** Not more often than this, however many answers hint that the map is out of date. */
const mapRefreshMsMin = 50;

/**
 * A client of one cluster, for any number of concurrent calls. Every method that fails throws or rejects with
 * QuorateError. Nothing is sent twice with an effect: every write has a request id, and retries keep it.
 */
export class Client implements AsyncDisposable {
  readonly #settings: ClientSettings;
  readonly #requestIds = new RequestIds();
  readonly #reachability = new Reachability();
  readonly #calls = new Calls({ reachability: this.#reachability });
  readonly #dispatcher: Dispatcher;
  /** The refresh under way. */
  #refresh: Promise<ShardMapView> | undefined;
  /** By `performance.now()`, of the last refresh that began. */
  #refreshedMs = -Infinity;
  readonly #closing = new AbortController();

  private constructor(settings: ClientSettings) {
    this.#settings = settings;
    const events = { onStaleMap: () => this.#refreshMap(mapRefreshMsMin) };
    const table = initialTable(settings.endpoints);
    this.#dispatcher = new Dispatcher(settings, table, { reachability: this.#reachability, events });
  }

  /** See {@link connect}. */
  static async connect(options: ClientOptions & CallOptions): Promise<Client> {
    const settings = clientSettings(options);
    const client = new Client(settings);
    try {
      await client.shardMap(options);
    } catch (error) {
      await client.close();
      throw error;
    }
    return client;
  }

  get(key: Bytes, options: ReadOptions = {}): Promise<GetResult> {
    return this.#execute<GetResult>(options, () => getOperation(key, options));
  }

  put(key: Bytes, value: Bytes, options: WriteOptions = {}): Promise<PutResult> {
    return this.#execute<PutResult>(options, () => putOperation(key, value, options, this.#newRequestId));
  }

  delete(key: Bytes, options: WriteOptions = {}): Promise<DeleteResult> {
    return this.#execute<DeleteResult>(options, () => deleteOperation(key, options, this.#newRequestId));
  }

  /**
   * Puts, deletes and checks of up to 1024 keys of one shard: if all conditions hold, all of it takes effect, at one version;
   * otherwise none of it does, and the result says which conditions failed. Rejects with KEYS_IN_DIFFERENT_SHARDS, with nothing
   * done, when that is so.
   */
  atomicBatch(operations: readonly AtomicOperation[], options: AtomicBatchOptions = {}): Promise<AtomicBatchResult> {
    return this.#execute<AtomicBatchResult>(options, () => atomicBatch(operations, options, this.#newRequestId));
  }

  /**
   * Operations that are independent of each other, not atomic; a result each, in order. Rejects, with nothing sent, when
   * one of them is not an operation at all.
   */
  async batch(operations: readonly BatchOperation[], options: CallOptions = {}): Promise<BatchResult[]> {
    const built = batchOperations(operations, this.#newRequestId);
    const limits = this.#limits(options, this.#settings.deadlineMs);
    return Promise.all(
      built.map((operation) => new Promise<BatchResult>((resolve) => this.#submit(operation, limits, resolve))),
    );
  }

  /** The records of a range in order, all as of one timestamp. */
  async *scan(options: ScanOptions = {}): AsyncGenerator<ScanRecord, void, undefined> {
    for await (const page of this.scanPages(options)) yield* page.records;
  }

  /** The same a page at a time, with the timestamp that was read at. */
  async *scanPages(options: ScanOptions = {}): AsyncGenerator<ScanPage, void, undefined> {
    checkObject('options', options);
    const query = scanQuery(options);
    const nodes: ScanNodes = {
      choose: (key, avoid) => {
        const nowMs = performance.now();
        const isAvailable = (address: string): boolean => this.#reachability.isAvailable(address, nowMs);
        return chooseAddress(this.#dispatcher.table, key, isAvailable, avoid);
      },
      onStaleMap: () => this.#refreshMap(mapRefreshMsMin),
    };
    const limits = {
      ...this.#limits(options, this.#settings.scanDeadlineMs),
      pageMsMax: millisecondsOf('pageDeadlineMs', options.pageDeadlineMs, this.#settings.deadlineMs),
    };
    yield* scanPages(query, limits, { calls: this.#calls, nodes });
  }

  /** Nodes and shards, as the first node that answers sees them. */
  async status(options: CallOptions = {}): Promise<ClusterStatus> {
    const limits = this.#limits(options, this.#settings.deadlineMs);
    return this.#calls.anywhere(statusCall, this.#dispatcher.table.addresses, limits);
  }

  /**
   * Has the nodes that are named, and no others, have replicas of the shard; learners get all data and do not vote. Resolves when
   * it is so, which takes as long as it takes to send a shard. Rejects with INVALID_ARGUMENT for a shard or node that there is not,
   * and when the time is up: then it may still come about, and asking again does no harm.
   */
  async changeReplicas(shard: number, replicas: ReplicaNodes, options: CallOptions = {}): Promise<void> {
    const limits = this.#limits(options, membershipMsDefault);
    await this.#calls.anywhere(changeReplicasCall(shard, replicas), this.#dispatcher.table.addresses, limits);
  }

  /**
   * For a node that is down and has lost its disk: takes its data directory out of use and removes its replicas. Resolves when that
   * is done, and the node can be started with an empty data directory: it gets all back. Rejects with INVALID_ARGUMENT for a node that
   * there is not or that is up, with SHARD_UNAVAILABLE where a shard has no majority without it, and when the time is up: then it goes on.
   */
  async replaceNode(node: number, options: CallOptions = {}): Promise<void> {
    const limits = this.#limits(options, membershipMsDefault);
    await this.#calls.anywhere(nodeCall('ReplaceNode', node), this.#dispatcher.table.addresses, limits);
  }

  /**
   * Has a node, up or down, leave the cluster for good: its replicas move to other nodes, then its data directory is out of use. Resolves
   * when it is gone. Rejects with INVALID_ARGUMENT for a node that there is not, and where no other node could take a replica of its, with
   * SHARD_UNAVAILABLE where a shard has no majority without it, and when the time is up: then it goes on.
   */
  async removeNode(node: number, options: CallOptions = {}): Promise<void> {
    const limits = this.#limits(options, membershipMsDefault);
    await this.#calls.anywhere(nodeCall('RemoveNode', node), this.#dispatcher.table.addresses, limits);
  }

  /** The shard map, newly fetched; the client routes by it from then on. */
  async shardMap(options: CallOptions = {}): Promise<ShardMapView> {
    return this.#fetchMap(this.#limits(options, this.#settings.deadlineMs));
  }

  /** Takes no more calls, waits until those under way are answered (their deadlines bound that), and disconnects. */
  async close(): Promise<void> {
    await this.#dispatcher.close();
    this.#closing.abort(new Error('the client is closed'));
    this.#calls.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #newRequestId = (key: Uint8Array): RequestId => this.#requestIds.next(rangeOf(this.#dispatcher.table, key));

  /** One promise for a call, whatever becomes of it: of many calls, promises are much of what they cost. */
  #execute<Result extends OperationResult>(options: CallOptions, build: () => Operation): Promise<Result> {
    return new Promise((resolve, reject) => {
      const limits = this.#limits(options, this.#settings.deadlineMs);
      this.#submit(build(), limits, (result) => {
        if (result.type === 'failed') reject(result.error);
        else resolve(result as Result);
      });
    });
  }

  /** `answer` is called once, perhaps before this returns; an error is a result here. */
  #submit(operation: Operation, limits: OperationLimits, answer: (result: OperationResult) => void): void {
    const { signal, startMs } = limits;
    const { operationBytesMax, mapRefreshMs } = this.#settings;
    const pending = new PendingOperation(operation, limits, answer);
    const tooLong = whyTooLong(pending, operationBytesMax, this.#dispatcher.table.messageLimits);
    if (tooLong !== undefined) answer({ type: 'failed', error: invalid(tooLong) });
    else if (signal?.aborted === true) {
      answer({ type: 'failed', error: cancelledError(signal.reason, pending) });
    } else {
      if (signal !== undefined) this.#cancelOnAbort(pending, signal);
      this.#refreshMap(mapRefreshMs, startMs);
      this.#dispatcher.submit(pending);
    }
  }

  #cancelOnAbort(pending: PendingOperation, signal: AbortSignal): void {
    const stopListening = onAbort(signal, () => this.#dispatcher.cancel(pending, signal.reason));
    const { answer } = pending;
    pending.answer = (result) => {
      stopListening();
      answer(result);
    };
  }

  #limits(options: CallOptions, otherwiseMs: number): OperationLimits {
    checkObject('options', options);
    checkSignal('signal', options.signal);
    const timeoutMs = millisecondsOf('deadlineMs', options.deadlineMs, otherwiseMs);
    const startMs = performance.now();
    return { startMs, deadlineMs: startMs + timeoutMs, signal: options.signal };
  }

  /** In the background, unless the map is younger than `ageMs`. */
  #refreshMap(ageMs: number, nowMs = performance.now()): void {
    if (this.#closing.signal.aborted || this.#refresh !== undefined || nowMs - this.#refreshedMs < ageMs) return;
    const limits = { deadlineMs: nowMs + this.#settings.deadlineMs, signal: this.#closing.signal };
    this.#refresh = this.#fetchMap(limits);
    const done = (): void => {
      this.#refresh = undefined;
    };
    // Without an answer the old map stays; calls that suffer from it say so themselves.
    this.#refresh.then(done, done);
  }

  async #fetchMap(limits: CallLimits): Promise<ShardMapView> {
    this.#refreshedMs = performance.now();
    const { addresses } = this.#dispatcher.table;
    const map = await this.#calls.anywhere(shardMapCall, addresses, limits);
    // A node that lags behind may give an older map than the one in use; leaders may differ at equal revisions.
    if (map.revision >= this.#dispatcher.table.revision) {
      const table = routingTable(map, this.#settings.endpoints);
      this.#dispatcher.useTable(table);
      this.#requestIds.retain(new Set(table.routes.map(({ name }) => name)));
    }
    return map;
  }
}

/** Of a message that is too long, a node would end the stream, with all other operations on it. */
function whyTooLong(
  operation: PendingOperation,
  operationBytesMax: number,
  { bytesMax }: MessageLimits,
): string | undefined {
  const what = `an operation of ${operation.bytes.length} bytes`;
  if (operation.bytes.length > operationBytesMax) return `${what}; operationBytesMax is ${operationBytesMax}`;
  if (bytesInMessage(operation) <= bytesMax) return undefined;
  return `${what}; nodes take ${bytesMax} bytes in a message (requestBytesMax)`;
}

/**
 * Connects to a cluster: resolves when a node has given its shard map.
 *
 * @throws QuorateError INVALID_ARGUMENT for options that make no sense; UNAVAILABLE when no endpoint answers within
 * `deadlineMs`
 */
export function connect(options: ClientOptions & Pick<CallOptions, 'signal'>): Promise<Client> {
  return Client.connect(options);
}
