/**
 * The writes of one shard, on the node that leads it. What gathers while one batch is under way becomes the next batch
 * (no timers). A batch asks for its timestamps, looks up what it depends on, is evaluated in one go on top of the
 * effects in flight, and proposed as one entry. The next batch does not wait for the entry, but for as many writes as are
 * in flight, or for a batch of another shard of the node. Results are told when the entry is applied, so a failed condition,
 * too, was true at a moment when this replica led; that is why a batch without effects is proposed as well.
 */
import { QuorateError } from '../base/errors.js';
import type { Timestamp } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { Clock } from '../env/clock.js';
import { Evaluator } from '../mvcc/evaluator.js';
import type { OperationResult, WriteOperation } from '../mvcc/operations.js';
import type { CommonStarts } from './common-starts.js';
import { encodeEntry } from './entry-format.js';
import type { LookupWatch } from './lookup-watch.js';
import { notLeaderError } from './not-leader.js';
import type { ProposalEnd } from './proposals.js';
import type { ProposalRefusal, Replica } from './replica.js';
import type { Task } from './task.js';
import { WriteQueue } from './write-queue.js';
import { WriteWindow } from './write-window.js';

/** Where commit timestamps come from: unique, strictly increasing over the whole cluster. */
export interface TimestampSource {
  /** The first of `count` consecutive timestamps. Rejects with TIMESTAMP_UNAVAILABLE within a bounded time. */
  request(count: number): Promise<Timestamp>;
}

/** For each write that waits so many may be in flight where they join another shard's batch. */
const inFlightPerJoining = 4;

/** Of a shard that has more to do than it can. */
const overloadRetryMs = 100;

export interface WriteBatchesOptions {
  readonly timestamps: TimestampSource;
  readonly clock: Clock;
  readonly limits: Limits;
  /** What batches depend on is looked up under it. */
  readonly lookups: LookupWatch;
  /** Of the whole node. */
  readonly starts: CommonStarts;
}

interface Waiter {
  readonly batch: number;
  readonly run: () => void;
}

export class WriteBatches {
  readonly #replica: Replica;
  readonly #timestamps: TimestampSource;
  readonly #evaluator: Evaluator;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #lookups: LookupWatch;
  readonly #starts: CommonStarts;
  readonly #window: WriteWindow;
  readonly #queue: WriteQueue;
  #running = 0;
  #runningBytes = 0;
  #batchUnderWay = false;
  /** Batches are numbered when they ask for timestamps; they settle in order. */
  #batchesBegun = 0;
  /** Batches that are not settled, oldest first. */
  readonly #unsettled = new Set<number>();
  /** For a batch and all before it. */
  #waiters: Waiter[] = [];

  constructor(replica: Replica, { timestamps, clock, limits, lookups, starts }: WriteBatchesOptions) {
    this.#replica = replica;
    this.#timestamps = timestamps;
    this.#clock = clock;
    this.#limits = limits;
    this.#lookups = lookups;
    this.#starts = starts;
    this.#window = new WriteWindow(limits);
    this.#queue = new WriteQueue(() => this.#window.arrived(clock.monotonicMs()));
    this.#evaluator = new Evaluator(replica.machine, { requestIdRetentionMs: limits.requestIdRetentionMs });
    replica.onLeadership((leading) => {
      if (leading) this.#pump();
      else this.#leadershipLost();
    });
  }

  /** Tasks that wait or run. */
  get inFlight(): number {
    return this.#queue.length + this.#running;
  }

  /** The newest batch that has asked for its timestamps: those of later ones are above any that is issued by now. */
  get batchesBegun(): number {
    return this.#batchesBegun;
  }

  /** What to refuse a write with that would wait too long; it is not added then. */
  get overload(): QuorateError | undefined {
    const { bytes } = this.#window;
    if (this.#queue.bytes + this.#runningBytes < bytes) return undefined;
    const { shard } = this.#replica;
    const message = `shard ${shard} has ${bytes} bytes of writes in flight, as many as it does within writeWaitMsTarget`;
    return new QuorateError('OVERLOADED', message, { shard, retryAfterMs: overloadRetryMs });
  }

  add(task: Task<WriteOperation>): void {
    this.#queue.add(task);
    this.#pump();
  }

  /** Resolves when `batch` and all before it have been applied here or lost. */
  async settledUpTo(batch: number): Promise<void> {
    if (!this.#isSettledUpTo(batch)) await new Promise<void>((run) => this.#waiters.push({ batch, run }));
  }

  /** Starts the next batch at the end of this turn, if it is due; whatever may make it due comes here. */
  #pump(): void {
    if (this.#batchUnderWay || this.#queue.length === 0 || !this.#replica.isReadyLeader) return;
    if (this.#isBatchDue) {
      this.#start();
      this.#starts.startAll();
    } else this.#starts.wait(this.#join);
  }

  /**
   * Together with another shard's batch, unless that few wait beside many in flight: a shard that has most of the node's writes would
   * have an entry for each batch of the others.
   */
  readonly #join = (): void => {
    if (this.#queue.length * inFlightPerJoining >= this.#running) this.#start();
    else this.#starts.wait(this.#join);
  };

  #start(): void {
    this.#starts.forget(this.#join);
    this.#batchUnderWay = true;
    this.#clock.endOfTurn(() => {
      void this.#runBatch().finally(() => {
        this.#batchUnderWay = false;
        this.#pump();
      });
    });
  }

  /**
   * Most of what an entry costs does not depend on how many writes it has. So fewer writes than are in flight wait for those, or for
   * more of their kind: half of all are in flight at least, in few entries (docs/decisions/2026-11-21-cost-of-a-put.md). Or for
   * another shard's batch, beside which theirs costs little.
   */
  get #isBatchDue(): boolean {
    return this.#queue.length >= this.#running;
  }

  #leadershipLost(): void {
    this.#evaluator.reset();
    this.#starts.forget(this.#join);
    const error = notLeaderError(this.#replica.shard);
    for (const task of this.#queue.clear()) task.settle({ type: 'failed', error });
  }

  async #runBatch(): Promise<void> {
    if (this.#queue.length === 0) return; // leadership was lost, and what waited was told so
    const { tasks: waited, bytes, arrival } = this.#queue.take(this.#limits.entryBytesMax);
    const taken = waited.filter((task) => !task.abandoned);
    if (taken.length === 0) return;
    const batch = ++this.#batchesBegun;
    this.#unsettled.add(batch);
    this.#running += taken.length;
    this.#runningBytes += bytes;
    let tasks = taken;
    const settle = (results: readonly OperationResult[]): void => {
      this.#running -= taken.length;
      this.#runningBytes -= bytes;
      tasks.forEach((task, i) => task.settle(results[i]));
      this.#batchSettled(batch);
      this.#pump();
    };
    const fail = (error: QuorateError): void => settle(tasks.map(() => ({ type: 'failed', error })));
    try {
      const { term } = this.#replica;
      const first = await this.#timestamps.request(taken.length);
      // Who gave up meanwhile was told that nothing was applied. From here on nobody is told so any more.
      tasks = taken.filter((task) => !task.abandoned);
      for (const task of tasks) task.begun = true;
      const operations = tasks.map((task) => task.operation);
      const prepared = await this.#lookups.watch(this.#evaluator.prepare(operations));
      if (this.#replica.term !== term || !this.#replica.isReadyLeader) {
        fail(notLeaderError(this.#replica.shard));
        return;
      }
      const { batch: effects, results, ticket } = this.#evaluator.evaluate(operations, prepared, first);
      if (ticket === undefined) {
        settle(results);
        return;
      }
      const data = encodeEntry({ type: 'effects', epoch: this.#replica.descriptor.epoch, batch: effects });
      const answer = this.#replica.propose(data, (end: ProposalEnd) => {
        if (end.type === 'applied') {
          this.#evaluator.applied(ticket);
          this.#window.done(bytes, arrival, this.#clock.monotonicMs());
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
      fail(error instanceof QuorateError ? error : this.#replica.readFailed(error));
    }
  }

  #refusedProposal(reason: ProposalRefusal): QuorateError {
    const { shard } = this.#replica;
    if (reason === 'notLeader') return notLeaderError(shard);
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

  #isSettledUpTo(batch: number): boolean {
    for (const oldest of this.#unsettled) return oldest > batch;
    return true;
  }

  #batchSettled(batch: number): void {
    this.#unsettled.delete(batch);
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter((waiter) => this.#isSettledUpTo(waiter.batch));
    this.#waiters = this.#waiters.filter((waiter) => !this.#isSettledUpTo(waiter.batch));
    for (const waiter of ready) waiter.run();
  }
}
