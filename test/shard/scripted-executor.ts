/** A KvExecutor over a replica, a clock and a source of timestamps that do what the test says. */
import { setImmediate } from 'node:timers/promises';
import { assert, defined } from '../../src/base/assert.js';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { LogIndex, NodeId, ReplicaId, ShardId, Term, Timestamp } from '../../src/base/ids.js';
import { defaultLimits } from '../../src/base/limits.js';
import type { Limits } from '../../src/base/limits.js';
import { deferred } from '../../src/base/promises.js';
import type { Deferred } from '../../src/base/promises.js';
import type { Clock } from '../../src/env/clock.js';
import { silentLogger } from '../../src/env/logger.js';
import type { GetOperation, Operation, OperationResult } from '../../src/mvcc/operations.js';
import type { ScanSpec } from '../../src/mvcc/scan.js';
import { StateMachine, initialIndex } from '../../src/mvcc/state-machine.js';
import { CommonStarts } from '../../src/shard/common-starts.js';
import type { ShardDescriptor } from '../../src/shard/descriptor.js';
import { decodeEntry } from '../../src/shard/entry-format.js';
import { KvExecutor } from '../../src/shard/kv-executor.js';
import { PageReads } from '../../src/shard/page-reads.js';
import type { Task } from '../../src/shard/task.js';
import type { ProposalEnd } from '../../src/shard/proposals.js';
import type { ReadPermit } from '../../src/shard/read-gate.js';
import type { ProposalRefusal, Replica } from '../../src/shard/replica.js';
import { NaiveEngine } from '../mvcc/naive-engine.js';

export interface RunningTask extends Task {
  readonly results: OperationResult[];
}

interface Proposed {
  readonly data: Uint8Array;
  readonly done: (end: ProposalEnd) => void;
}

export const descriptor: ShardDescriptor = {
  shard: ShardId(5),
  start: utf8('a'),
  end: utf8('x'),
  epoch: { membership: 1, range: 1 },
  replicas: [{ replica: ReplicaId(1), node: NodeId(1) }],
};

export const get = (key: string, consistency: GetOperation['consistency'] = 'linearizable'): GetOperation => ({
  type: 'get',
  key: utf8(key),
  consistency,
});

export function specAt(at: number): ScanSpec {
  return {
    start: utf8('a'),
    end: emptyBytes,
    at: Timestamp(at),
    reverse: false,
    keysOnly: false,
    bytesMax: 1000,
    recordsMax: 10,
  };
}

export class ScriptedExecutor {
  readonly executor: KvExecutor;
  readonly space = { isDiskFull: false };
  /** Requests for timestamps that the test has not answered. */
  readonly asked: { readonly count: number; readonly answer: Deferred<Timestamp> }[] = [];
  /** Entries that the test has not applied or lost. */
  readonly proposed: Proposed[] = [];
  readonly permits: ReadPermit[] = [];
  leading = true;
  /** Whether a leader has applied an entry of its own term. */
  ready = true;
  term = Term(1);
  stalenessMs = 0;
  timesWoken = 0;
  nowMs = 0;
  /** Of the leader that holds a lease. */
  leaseTerm: Term | undefined;
  refusal: ProposalRefusal | undefined;
  #nextTimestamp = 1000;
  #index: number = initialIndex;
  readonly #machine: StateMachine;
  readonly #listeners: ((leading: boolean) => void)[] = [];
  #turn: (() => void)[] = [];

  /** @param starts of the node, where a test has several shards of one */
  static async make(limits: Partial<Limits> = {}, starts = new CommonStarts()): Promise<ScriptedExecutor> {
    const machine = await StateMachine.create(new NaiveEngine(), utf8('descriptor'), { retention: 60_000_000 });
    return new ScriptedExecutor(machine, { ...defaultLimits, ...limits }, starts);
  }

  private constructor(machine: StateMachine, limits: Limits, starts: CommonStarts) {
    this.#machine = machine;
    const replica = {
      shard: descriptor.shard,
      descriptor,
      machine,
      reads: {
        request: (permit: ReadPermit) => this.permits.push(permit),
        leaseHolds: (term: Term) => this.leaseTerm === term,
      },
      wakeGroup: () => this.timesWoken++,
      onLeadership: (listener: (leading: boolean) => void) => this.#listeners.push(listener),
      propose: (data: Uint8Array, done: (end: ProposalEnd) => void) => {
        if (this.refusal !== undefined) return this.refusal;
        this.proposed.push({ data, done });
        return 'accepted';
      },
      readFailed: (error: unknown) => QuorateError.from(error),
    };
    Object.defineProperties(replica, {
      isLeader: { get: () => this.leading },
      isReadyLeader: { get: () => this.leading && this.ready },
      term: { get: () => this.term },
      stalenessMs: { get: () => this.stalenessMs },
    });
    const clock: Clock = {
      monotonicMs: () => this.nowMs,
      wallMicros: () => 0,
      after: () => ({ cancel: () => undefined }),
      endOfTurn: (callback) => this.#turn.push(callback),
    };
    this.executor = new KvExecutor(replica as unknown as Replica, {
      clock,
      limits,
      logger: silentLogger,
      space: this.space,
      pageReads: new PageReads(limits.scansInFlightMax, clock),
      starts,
      timestamps: {
        request: (count) => {
          const answer = deferred<Timestamp>();
          this.asked.push({ count, answer });
          return answer.promise;
        },
      },
    });
  }

  start(operation: Operation, epoch = descriptor.epoch): RunningTask {
    const results: OperationResult[] = [];
    const task: RunningTask = {
      operation,
      abandoned: false,
      begun: false,
      results,
      settle: (result) => results.push(result),
    };
    this.executor.execute(task, epoch);
    assert(results.length === 0, 'an operation was answered before `execute` returned');
    return task;
  }

  /** What it is answered at the end of the turn. */
  async answersTo(operation: Operation, epoch = descriptor.epoch): Promise<readonly OperationResult[]> {
    const { results } = this.start(operation, epoch);
    await this.turn();
    return results;
  }

  /** Ends the turn, and lets all promises go as far as they can. */
  async turn(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      for (const callback of this.#turn.splice(0)) callback();
      await setImmediate();
    }
  }

  /** Answers the oldest request for timestamps. */
  async giveTimestamps(): Promise<void> {
    const { count, answer } = defined(this.asked.shift(), 'request for timestamps');
    answer.resolve(Timestamp(this.#nextTimestamp));
    this.#nextTimestamp += count;
    await this.turn();
  }

  /** Applies the oldest entry. */
  async apply(): Promise<void> {
    const { data, done } = defined(this.proposed.shift(), 'entry');
    const entry = decodeEntry(data);
    const index = LogIndex(++this.#index);
    if (entry.type === 'effects') this.#machine.apply(index, entry.batch);
    done({ type: 'applied', index });
    await this.turn();
  }

  async lose(error: QuorateError): Promise<void> {
    defined(this.proposed.shift(), 'entry').done({ type: 'lost', error });
    await this.turn();
  }

  async changeLeadership(leading: boolean): Promise<void> {
    this.leading = leading;
    this.term = Term(this.term + 1);
    for (const listener of this.#listeners) listener(leading);
    await this.turn();
  }

  async permitReads(error?: QuorateError, lease?: Term): Promise<void> {
    for (const permit of this.permits.splice(0)) permit(error, lease);
    await this.turn();
  }
}
