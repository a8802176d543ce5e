/**
 * Executes operations on one shard, on the node that leads it.
 *
 * Writes: what gathers while one batch is under way becomes the next batch (no timers). A batch asks for its
 * timestamps, looks up what it depends on, is evaluated in one go on top of the effects in flight, and proposed as
 * one entry; the next batch does not wait for the entry. Results are told when the entry is
 * applied, so a failed condition, too, was true at a moment when this replica led; that is why a batch without
 * effects is proposed as well.
 *
 * Reads: through the replica's read gate. A read at a timestamp waits for every batch that had asked for its
 * timestamps before the read arrived: later batches get timestamps above the read's.
 */
import { QuorateError } from '../base/errors.js';
import type { Timestamp } from '../base/ids.js';
import { timestampMax } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { MaybePromise } from '../base/promises.js';
import type { Clock } from '../env/clock.js';
import { Evaluator, operationOverheadBytesMax } from '../mvcc/evaluator.js';
import type { GetOperation, Operation, OperationResult, WriteOperation } from '../mvcc/operations.js';
import type { ScanResult, ScanSpec } from '../mvcc/scan.js';
import type { ShardEpoch } from './descriptor.js';
import { containsKey, sameEpoch } from './descriptor.js';
import { encodeEntry, entryOverheadBytes } from './entry-format.js';
import type { ProposalEnd } from './proposals.js';
import type { ProposalRefusal, Replica } from './replica.js';

/** Where commit timestamps come from: unique, strictly increasing over the whole cluster. */
export interface TimestampSource {
  /** The first of `count` consecutive timestamps. Rejects with TIMESTAMP_UNAVAILABLE within a bounded time. */
  request(count: number): Promise<Timestamp>;
}

export interface KvExecutorOptions {
  readonly timestamps: TimestampSource;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Writes are refused while the node's disk is full. */
  readonly space: { readonly isDiskFull: boolean };
}

/**
 * One operation on its way. `settle` is called exactly once; whoever gave up on it before sets `abandoned`, and unless
 * it has begun it then never takes effect. `begun` is set before a write is evaluated: from then on its outcome is
 * not known until it is settled.
 */
export interface Task<Op extends Operation = Operation> {
  readonly operation: Op;
  readonly settle: (result: OperationResult) => void;
  abandoned: boolean;
  begun: boolean;
}

interface Waiter {
  readonly batch: number;
  readonly run: () => void;
}

export class KvExecutor {
  readonly replica: Replica;
  readonly #timestamps: TimestampSource;
  readonly #evaluator: Evaluator;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #space: KvExecutorOptions['space'];
  #queue: Task<WriteOperation>[] = [];
  #readsInFlight = 0;
  #writesInFlight = 0;
  #batchUnderWay = false;
  /** Batches are numbered when they ask for timestamps; they settle in order. */
  #batchesBegun = 0;
  /** Batches that are not settled, oldest first. */
  readonly #unsettled = new Set<number>();
  /** Reads that wait for a batch and all before it. */
  #waiters: Waiter[] = [];

  constructor(replica: Replica, options: KvExecutorOptions) {
    this.replica = replica;
    this.#space = options.space;
    this.#timestamps = options.timestamps;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#evaluator = new Evaluator(replica.machine, { requestIdRetentionMs: options.limits.requestIdRetentionMs });
    replica.onLeadership((leading) => {
      if (leading) this.#pump();
      else this.#leadershipLost();
    });
  }

  /** Starts an operation that was routed here under `epoch`. Settles it with NOT_LEADER when it should be elsewhere. */
  execute(task: Task, epoch: ShardEpoch): void {
    const refused = this.#refusal(task.operation, epoch);
    if (refused !== undefined) {
      task.settle({ type: 'failed', error: refused });
      return;
    }
    if (task.operation.type === 'get') this.#get(task as Task<GetOperation>);
    else {
      this.#queue.push(task as Task<WriteOperation>);
      this.#pump();
    }
  }

  #refusal(operation: Operation, epoch: ShardEpoch): QuorateError | undefined {
    const { descriptor } = this.replica;
    const shard = descriptor.shard;
    if (!sameEpoch(epoch, descriptor.epoch) || !containsKey(descriptor, operation.key)) {
      return new QuorateError('EPOCH_MISMATCH', `shard ${shard} has changed its range or members`, { shard });
    }
    if (operation.type === 'get' && operation.consistency === 'stale') return undefined;
    if (!this.replica.isLeader) return this.#notLeader();
    if (operation.type !== 'get' && this.#space.isDiskFull) {
      return new QuorateError('DISK_FULL', `the disk of the node that leads shard ${shard} is full`, { shard });
    }
    const inFlight = this.#queue.length + this.#writesInFlight + this.#readsInFlight;
    if (inFlight >= this.#limits.shardOperationsInFlightMax) {
      const limit = this.#limits.shardOperationsInFlightMax;
      return new QuorateError(
        'OVERLOADED',
        `shard ${shard} has ${limit} operations in flight (shardOperationsInFlightMax)`,
        {
          shard,
          retryAfterMs: 20,
        },
      );
    }
    return undefined;
  }

  #notLeader(): QuorateError {
    const shard = this.replica.shard;
    return new QuorateError('NOT_LEADER', `this node does not lead shard ${shard}`, { shard });
  }

  // ---- reads

  #get(task: Task<GetOperation>): void {
    if (task.operation.consistency === 'stale') {
      // Never in the caller's own turn, as with all other operations.
      this.#clock.endOfTurn(() => {
        if (!this.#isTooStale) this.#answerGet(task);
        else if (this.replica.isLeader) this.#getThroughGate(task);
        else task.settle({ type: 'failed', error: this.#tooStale() });
      });
    } else {
      this.#getThroughGate(task);
    }
  }

  #getThroughGate(task: Task<GetOperation>): void {
    this.#readsInFlight++;
    this.replica.reads.request((error) => {
      this.#readsInFlight--;
      if (error !== undefined) task.settle({ type: 'failed', error });
      else this.#answerGet(task);
    });
  }

  #answerGet(task: Task<GetOperation>): void {
    if (task.abandoned) return;
    this.#read(task.operation.key, (result) => task.settle(result));
  }

  #read(key: Uint8Array, settle: (result: OperationResult) => void): void {
    let found: ReturnType<typeof this.replica.machine.read>;
    try {
      found = this.replica.machine.read(key, timestampMax);
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

  #tooStale(): QuorateError {
    const { shard } = this.replica;
    const limit = this.#limits.staleReadMsMax;
    const message = `this replica of shard ${shard} may lag by more than ${limit} ms (staleReadMsMax)`;
    return new QuorateError('SHARD_UNAVAILABLE', message, { shard });
  }

  /** One page at the read timestamp `spec.at`. Rejects with QuorateError. */
  async scanPage(spec: ScanSpec, epoch: ShardEpoch, consistency: 'linearizable' | 'stale'): Promise<ScanResult> {
    const { descriptor, shard } = this.replica;
    if (!sameEpoch(epoch, descriptor.epoch)) {
      throw new QuorateError('EPOCH_MISMATCH', `shard ${shard} has changed its range or members`, { shard });
    }
    if (consistency === 'linearizable') await this.#readableAt();
    else if (this.#isTooStale) {
      if (!this.replica.isLeader) throw this.#tooStale();
      await this.#throughGate();
    }
    try {
      return await this.replica.machine.scan(spec);
    } catch (error) {
      throw this.replica.readFailed(error);
    }
  }

  /** Resolves when everything below a timestamp that was issued before this call is applied here. */
  async #readableAt(): Promise<void> {
    if (!this.replica.isLeader) throw this.#notLeader();
    const batch = this.#batchesBegun;
    await this.#throughGate();
    if (!this.#settledUpTo(batch)) await new Promise<void>((run) => this.#waiters.push({ batch, run }));
  }

  #throughGate(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.replica.reads.request((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  // ---- writes

  /** Starts the next batch at the end of this turn, unless one is under way: it starts the next when it has proposed. */
  #pump(): void {
    if (this.#batchUnderWay || this.#queue.length === 0 || !this.replica.isReadyLeader) return;
    this.#batchUnderWay = true;
    this.#clock.endOfTurn(() => {
      void this.#runBatch().finally(() => {
        this.#batchUnderWay = false;
        this.#pump();
      });
    });
  }

  #leadershipLost(): void {
    this.#evaluator.reset();
    const error = this.#notLeader();
    for (const task of this.#queue.splice(0)) task.settle({ type: 'failed', error });
  }

  /** Up to one entry's worth of what waits. */
  #takeBatch(): Task<WriteOperation>[] {
    let bytes = entryOverheadBytes;
    let count = 0;
    while (count < this.#queue.length) {
      const { operation } = this.#queue[count];
      bytes +=
        operation.key.length + (operation.type === 'put' ? operation.value.length : 0) + operationOverheadBytesMax;
      if (count > 0 && bytes > this.#limits.entryBytesMax) break;
      count++;
    }
    return this.#queue.splice(0, count).filter((task) => !task.abandoned);
  }

  async #runBatch(): Promise<void> {
    const taken = this.#takeBatch();
    if (taken.length === 0) return;
    const batch = ++this.#batchesBegun;
    this.#unsettled.add(batch);
    this.#writesInFlight += taken.length;
    let tasks = taken;
    const settle = (results: readonly OperationResult[]): void => {
      this.#writesInFlight -= taken.length;
      tasks.forEach((task, i) => task.settle(results[i]));
      this.#batchSettled(batch);
    };
    const fail = (error: QuorateError): void => settle(tasks.map(() => ({ type: 'failed', error })));
    try {
      const { term } = this.replica;
      const first = await this.#timestamps.request(taken.length);
      // Who gave up meanwhile was told that nothing was applied. From here on nobody is told so any more.
      tasks = taken.filter((task) => !task.abandoned);
      for (const task of tasks) task.begun = true;
      const operations = tasks.map((task) => task.operation);
      const prepared = await this.#evaluator.prepare(operations);
      if (this.replica.term !== term || !this.replica.isReadyLeader) {
        fail(this.#notLeader());
        return;
      }
      const { batch: effects, results, ticket } = this.#evaluator.evaluate(operations, prepared, first);
      if (ticket === undefined) {
        settle(results);
        return;
      }
      const data = encodeEntry({ type: 'effects', epoch: this.replica.descriptor.epoch, batch: effects });
      const answer = this.replica.propose(data, (end: ProposalEnd) => {
        if (end.type === 'applied') {
          this.#evaluator.applied(ticket);
          settle(results);
        } else {
          this.#evaluator.reset(); // what was evaluated on top of it is lost as well
          fail(end.error);
        }
      });
      if (answer !== 'accepted') {
        this.#evaluator.withdraw(ticket);
        fail(this.#refusedProposal(answer));
      }
    } catch (error) {
      fail(error instanceof QuorateError ? error : this.replica.readFailed(error));
    }
  }

  #refusedProposal(reason: ProposalRefusal): QuorateError {
    const shard = this.replica.shard;
    if (reason === 'notLeader') return this.#notLeader();
    if (reason === 'transferring') {
      return new QuorateError('NOT_LEADER', `shard ${shard} is handing over its leadership`, {
        shard,
        retryAfterMs: 20,
      });
    }
    const limit = this.#limits.uncommittedBytesMax;
    const message = `shard ${shard} has ${limit} bytes that a majority has not stored (uncommittedBytesMax)`;
    return new QuorateError('OVERLOADED', message, { shard, retryAfterMs: 50 });
  }

  #settledUpTo(batch: number): boolean {
    for (const oldest of this.#unsettled) return oldest > batch;
    return true;
  }

  #batchSettled(batch: number): void {
    this.#unsettled.delete(batch);
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter((waiter) => this.#settledUpTo(waiter.batch));
    this.#waiters = this.#waiters.filter((waiter) => !this.#settledUpTo(waiter.batch));
    for (const waiter of ready) waiter.run();
  }
}

/** Calls back at once when the result is there already, so that a cached read costs no promise. */
function whenDone<T>(result: MaybePromise<T>, done: (value: T) => void, failed: (error: unknown) => void): void {
  if (result instanceof Promise) result.then(done, failed);
  else done(result);
}
