/**
 * Executes operations and reads pages of scans on one shard. Writes go to the batches, on the node that leads it.
 *
 * Reads: through the replica's read gate. A read at a timestamp waits for every batch that had asked for its
 * timestamps before the read arrived: later batches get timestamps above the read's.
 *
 * Invariant: whatever waits or runs here counts as in flight until it is settled, but for stale reads of single keys,
 * which wait for nobody.
 */
import { QuorateError } from '../base/errors.js';
import { timestampMax } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { MaybePromise } from '../base/promises.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import type { GetOperation, Operation, OperationResult, WriteOperation } from '../mvcc/operations.js';
import type { ScanResult, ScanSpec } from '../mvcc/scan.js';
import type { CommonStarts } from './common-starts.js';
import type { ShardEpoch } from './descriptor.js';
import { strayKey } from './descriptor.js';
import { LookupWatch } from './lookup-watch.js';
import { notLeaderError } from './not-leader.js';
import type { PageReads } from './page-reads.js';
import type { ReadPermit } from './read-gate.js';
import type { Replica } from './replica.js';
import type { Task } from './task.js';
import { WriteBatches } from './write-batches.js';
import type { TimestampSource } from './write-batches.js';

/** Space comes back when somebody makes room, or shards move away: nothing that a caller could wait for in milliseconds. */
const diskFullRetryMs = 1000;

export interface KvExecutorOptions {
  readonly timestamps: TimestampSource;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly logger: Logger;
  /** Writes are refused while the node's disk is full. */
  readonly space: { readonly isDiskFull: boolean };
  /** Of the whole node. */
  readonly pageReads: PageReads;
  /** Of the whole node. */
  readonly starts: CommonStarts;
}

export class KvExecutor {
  readonly replica: Replica;
  readonly #writes: WriteBatches;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #space: KvExecutorOptions['space'];
  readonly #pageReads: PageReads;
  readonly #lookups: LookupWatch;
  #readsInFlight = 0;

  constructor(replica: Replica, options: KvExecutorOptions) {
    this.replica = replica;
    this.#space = options.space;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#pageReads = options.pageReads;
    this.#lookups = new LookupWatch({ ...options, replica });
    this.#writes = new WriteBatches(replica, { ...options, lookups: this.#lookups });
  }

  /**
   * Starts an operation that was routed here under `epoch`. Settles it with NOT_LEADER when it should be elsewhere; in no case
   * before this returns.
   */
  execute(task: Task, epoch: ShardEpoch): void {
    const refused = this.#refusal(task.operation, epoch);
    if (refused !== undefined) this.#clock.endOfTurn(() => task.settle({ type: 'failed', error: refused }));
    else if (task.operation.type === 'get') this.#get(task as Task<GetOperation>);
    else this.#writes.add(task as Task<WriteOperation>);
  }

  #refusal(operation: Operation, epoch: ShardEpoch): QuorateError | undefined {
    const { descriptor } = this.replica;
    const { shard } = descriptor;
    if (epoch.range !== descriptor.epoch.range || strayKey(descriptor, operation) !== undefined) {
      return this.#epochMismatch();
    }
    if (operation.type === 'get' && operation.consistency === 'stale') return undefined;
    if (!this.replica.isLeader) return notLeaderError(shard);
    if (operation.type !== 'get' && this.#space.isDiskFull) {
      const message = `the disk of the node that leads shard ${shard} is full`;
      return new QuorateError('DISK_FULL', message, { shard, retryAfterMs: diskFullRetryMs });
    }
    return this.#overload() ?? (operation.type === 'get' ? undefined : this.#writes.overload);
  }

  #epochMismatch(): QuorateError {
    const { shard } = this.replica;
    return new QuorateError('EPOCH_MISMATCH', `shard ${shard} has changed its range or members`, { shard });
  }

  #overload(): QuorateError | undefined {
    const { shardOperationsInFlightMax: limit } = this.#limits;
    if (this.#writes.inFlight + this.#readsInFlight < limit) return undefined;
    const { shard } = this.replica;
    const message = `shard ${shard} has ${limit} operations in flight (shardOperationsInFlightMax)`;
    return new QuorateError('OVERLOADED', message, { shard, retryAfterMs: 20 });
  }

  // ---- single keys

  #get(task: Task<GetOperation>): void {
    if (task.operation.consistency !== 'stale') {
      this.#getThroughGate(task);
      return;
    }
    // Never in the caller's own turn, as with all other operations.
    this.#clock.endOfTurn(() => {
      if (!this.#isTooStale) {
        if (!task.abandoned) this.#read(task.operation.key, task.settle);
        return;
      }
      const refused = this.replica.isLeader ? this.#overload() : this.#tooStale();
      if (refused === undefined) this.#getThroughGate(task);
      else task.settle({ type: 'failed', error: refused });
    });
  }

  #getThroughGate(task: Task<GetOperation>): void {
    this.#readsInFlight++;
    const settle = (result: OperationResult): void => {
      this.#readsInFlight--;
      task.settle(result);
    };
    const { reads } = this.replica;
    const permit: ReadPermit = (error, lease) => {
      if (error !== undefined) settle({ type: 'failed', error });
      else if (task.abandoned) this.#readsInFlight--;
      else if (lease === undefined) this.#read(task.operation.key, settle);
      else {
        this.#read(task.operation.key, (result) => {
          if (reads.leaseHolds(lease)) settle(result);
          else reads.request(permit);
        });
      }
    };
    reads.request(permit, 'lease');
  }

  #read(key: Uint8Array, settle: (result: OperationResult) => void): void {
    let found: ReturnType<typeof this.replica.machine.read>;
    try {
      found = this.#lookups.watch(this.replica.machine.read(key, timestampMax));
    } catch (error) {
      settle({ type: 'failed', error: this.replica.readFailed(error) });
      return;
    }
    whenDone(
      found,
      (value) => settle(value === undefined ? { type: 'absent' } : { type: 'found', ...value }),
      (error) => settle({ type: 'failed', error: this.replica.readFailed(error) }),
    );
  }

  /** A follower refuses a stale read then; a leader first proves that it still leads, as for a linearizable one. */
  get #isTooStale(): boolean {
    return this.replica.stalenessMs > this.#limits.staleReadMsMax;
  }

  /** For now: where the group was quiet it is waking, and soon this replica knows how current it is. */
  #tooStale(): QuorateError {
    const { shard } = this.replica;
    this.replica.wakeGroup();
    const limit = this.#limits.staleReadMsMax;
    const message = `this replica of shard ${shard} may lag by more than ${limit} ms (staleReadMsMax)`;
    return new QuorateError('SHARD_UNAVAILABLE', message, { shard });
  }

  // ---- pages

  /** One page at the read timestamp `spec.at`. Rejects with QuorateError. */
  async scanPage(spec: ScanSpec, epoch: ShardEpoch, consistency: 'linearizable' | 'stale'): Promise<ScanResult> {
    const refused = epoch.range === this.replica.descriptor.epoch.range ? this.#overload() : this.#epochMismatch();
    if (refused !== undefined) throw refused;
    this.#readsInFlight++;
    try {
      if (consistency === 'linearizable') await this.#readableAt();
      else if (this.#isTooStale) {
        if (!this.replica.isLeader) throw this.#tooStale();
        await this.#throughGate();
      }
      return await this.#pageReads.run(() => this.#readPage(spec));
    } finally {
      this.#readsInFlight--;
    }
  }

  /** Resolves when everything below a timestamp that was issued before this call is applied here. */
  async #readableAt(): Promise<void> {
    if (!this.replica.isLeader) throw notLeaderError(this.replica.shard);
    const batch = this.#writes.batchesBegun;
    await this.#throughGate();
    await this.#writes.settledUpTo(batch);
  }

  #throughGate(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.replica.reads.request((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  async #readPage(spec: ScanSpec): Promise<ScanResult> {
    try {
      return await this.replica.machine.scan(spec);
    } catch (error) {
      throw this.replica.readFailed(error);
    }
  }
}

/** Calls back at once when the result is there already, so that a cached read costs no promise. */
function whenDone<T>(result: MaybePromise<T>, done: (value: T) => void, failed: (error: unknown) => void): void {
  if (result instanceof Promise) result.then(done, failed);
  else done(result);
}
