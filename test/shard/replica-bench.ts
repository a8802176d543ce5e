/** One replica whose surroundings do as the test says. */
import { setImmediate } from 'node:timers/promises';
import { expect } from 'vitest';
import { LogIndex, NodeId, ReplicaId, Term } from '../../src/base/ids.js';
import { defaultLimits } from '../../src/base/limits.js';
import { Prng } from '../../src/base/prng.js';
import { type Deferred, deferred } from '../../src/base/promises.js';
import { silentLogger } from '../../src/env/logger.js';
import { StateMachine, initialIndex } from '../../src/mvcc/state-machine.js';
import type { RaftMessage } from '../../src/raft/types.js';
import { encodeGroupDescriptor, newGroup } from '../../src/shard/group-descriptor.js';
import { Replica } from '../../src/shard/replica.js';
import type { ReplicaHost, ReplicaLog, Scheduled } from '../../src/shard/replica-host.js';
import { NaiveEngine } from '../mvcc/naive-engine.js';
import { TestLog, newHardState } from '../raft/replica.js';
import { descriptor as executorDescriptor } from './scripted-executor.js';

export const descriptor = {
  ...executorDescriptor,
  replicas: [1, 2, 3].map((id) => ({ replica: ReplicaId(id), node: NodeId(id) })),
};
/** As all replicas begin. */
export const group = newGroup(descriptor);
export const [self, two, three] = descriptor.replicas.map(({ replica }) => replica);

/** Replica 1 of three. Its log syncs at once, unless syncs are held; the test speaks for the others. */
export class Bench {
  readonly replica: Replica;
  readonly sent: RaftMessage[] = [];
  readonly roles: boolean[] = [];
  /** The state machine's; what a Raft snapshot brings is to be written into it. */
  readonly engine: NaiveEngine;
  /** How often the host was told that the replica does not belong to its group any more. */
  removals = 0;
  syncsHeld = false;
  readonly #unsynced: Deferred<void>[] = [];
  #scheduled: Scheduled | undefined;
  #ends: (() => void)[] = [];

  static async make(): Promise<Bench> {
    const engine = new NaiveEngine();
    const options = { retention: 60_000_000 };
    return new Bench(engine, await StateMachine.create(engine, encodeGroupDescriptor(group), options));
  }

  private constructor(engine: NaiveEngine, machine: StateMachine) {
    this.engine = engine;
    const log = new TestLog();
    log.firstIndex = LogIndex(initialIndex + 1);
    const replicaLog: ReplicaLog = {
      hardState: newHardState,
      keepsLogLong: false,
      bytes: 0,
      get firstIndex() {
        return log.firstIndex;
      },
      get lastIndex() {
        return log.lastIndex;
      },
      term: (index) => log.term(index),
      entries: (from, to, bytesMax) => log.entries(from, to, bytesMax),
      read: (from, to, bytesMax) => Promise.resolve(log.read(from, to, bytesMax)),
      truncatePrefix: (upTo, term) => {
        if (log.term(upTo) === term) log.dropTo(upTo);
        else log.reset(upTo, term);
      },
    };
    const host: ReplicaHost = {
      nodeId: NodeId(1),
      clock: {
        monotonicMs: () => 0,
        wallMicros: () => 0,
        after: () => ({ cancel: () => undefined }),
        endOfTurn: (callback) => this.#ends.push(callback),
      },
      logger: silentLogger,
      random: new Prng(1),
      limits: defaultLimits,
      timing: {
        heartbeatTicks: 2,
        electionTicksMin: 10,
        electionTicksMax: 20,
        quiesceTicks: 0,
        tickMs: 50,
        leaderLease: false,
      },
      storeOf: (node) => `store-${node}`,
      append: (_shard, { entries }) => {
        log.write(entries);
        if (!this.syncsHeld) return Promise.resolve();
        const unsynced = deferred<void>();
        this.#unsynced.push(unsynced);
        return unsynced.promise;
      },
      snapshotWanted: () => undefined,
      removed: () => this.removals++,
      send: (_node, _shard, message) => this.sent.push(message),
      schedule: (replica) => {
        this.#scheduled = replica;
      },
      fail: (error) => {
        throw error;
      },
    };
    this.replica = new Replica({
      host,
      descriptor: group,
      replicaId: self,
      log: replicaLog,
      machine,
      tree: {
        durableAppliedIndex: LogIndex(0),
        onDurable: () => undefined,
        writeStall: () => undefined,
        replaceBy: () => Promise.resolve(engine.appliedIndex),
      },
    });
    this.replica.onLeadership((leading) => this.roles.push(leading));
  }

  async turn(): Promise<void> {
    while (this.#scheduled !== undefined || this.#ends.length > 0) {
      const ends = this.#ends;
      const replica = this.#scheduled;
      this.#ends = [];
      this.#scheduled = undefined;
      for (const end of ends) end();
      replica?.handleReady();
      await setImmediate();
    }
  }

  async step(message: RaftMessage): Promise<void> {
    this.replica.step(NodeId(message.from), message);
    await this.turn();
  }

  /** What was to be synced until now is durable. */
  async sync(): Promise<void> {
    for (const { resolve } of this.#unsynced.splice(0)) resolve();
    await setImmediate();
    await this.turn();
  }

  /** Wins an election with the vote of replica 2. Nobody has acknowledged an entry yet. */
  async win(): Promise<void> {
    this.replica.campaign();
    await this.turn();
    const term = Term(this.replica.term + 1);
    for (const type of ['preVoteResponse', 'voteResponse'] as const) {
      await this.step({ type, from: two, to: self, term, granted: true, commit: LogIndex(0), commitTerm: Term(0) });
    }
    expect(this.replica.isLeader).toBe(true);
  }

  acknowledge(from: ReplicaId): Promise<void> {
    const { term, lastIndex: logIndex } = this.replica;
    const hint = { hintIndex: LogIndex(0), hintTerm: Term(0) };
    return this.step({ type: 'appendResponse', from, to: self, term, logIndex, rejected: false, ...hint });
  }

  /** Replica 3 leads in a later term. */
  depose(): Promise<void> {
    const none = LogIndex(0);
    const term = Term(this.replica.term + 1);
    const body = { commit: none, leaderCommit: none, probe: 0, readRound: 0, quiesce: false };
    return this.step({ type: 'heartbeat', from: three, to: self, term, ...body });
  }

  sentOf(type: RaftMessage['type']): RaftMessage[] {
    return this.sent.filter((message) => message.type === type);
  }
}
