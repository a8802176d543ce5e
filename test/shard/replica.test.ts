import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, NodeId, ReplicaId, Term } from '../../src/base/ids.js';
import { defaultLimits } from '../../src/base/limits.js';
import { Prng } from '../../src/base/prng.js';
import { silentLogger } from '../../src/env/logger.js';
import { StateMachine, initialIndex } from '../../src/mvcc/state-machine.js';
import type { RaftMessage } from '../../src/raft/types.js';
import { newGroup } from '../../src/shard/group-descriptor.js';
import { Replica } from '../../src/shard/replica.js';
import type { ReplicaHost, ReplicaLog, Scheduled } from '../../src/shard/replica-host.js';
import { NaiveEngine } from '../mvcc/naive-engine.js';
import { TestLog, newHardState } from '../raft/replica.js';
import { descriptor as executorDescriptor } from './scripted-executor.js';

const descriptor = {
  ...executorDescriptor,
  replicas: [1, 2, 3].map((id) => ({ replica: ReplicaId(id), node: NodeId(id) })),
};
const [self, two, three] = descriptor.replicas.map(({ replica }) => replica);

/** Replica 1 of three. Its log syncs at once; the test speaks for the others. */
class Bench {
  readonly replica: Replica;
  readonly sent: RaftMessage[] = [];
  readonly roles: boolean[] = [];
  #scheduled: Scheduled | undefined;
  #ends: (() => void)[] = [];

  static async make(): Promise<Bench> {
    return new Bench(await StateMachine.create(new NaiveEngine(), utf8('shard'), { versionRetentionMs: 60_000 }));
  }

  private constructor(machine: StateMachine) {
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
      truncatePrefix: (upTo) => log.dropTo(upTo),
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
      storeOf: () => undefined,
      append: (_shard, { entries }) => {
        log.write(entries);
        return Promise.resolve();
      },
      snapshotWanted: () => undefined,
      removed: () => undefined,
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
      descriptor: newGroup(descriptor),
      replicaId: self,
      log: replicaLog,
      machine,
      tree: {
        durableAppliedIndex: LogIndex(0),
        onDurable: () => undefined,
        writeStall: () => undefined,
        replaceBy: () => Promise.reject(new Error()),
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

describe('listeners of leadership', () => {
  test('hear of its beginning when an entry of its term is applied, and of its end', async () => {
    const bench = await Bench.make();
    await bench.win();
    expect([bench.roles, bench.replica.isReadyLeader]).toEqual([[], false]);
    await bench.acknowledge(two);
    expect([bench.roles, bench.replica.isReadyLeader]).toEqual([[true], true]);
    await bench.depose();
    expect([bench.roles, bench.replica.isReadyLeader]).toEqual([[true, false], false]);
  });

  test('hear of the end of one that was lost before its first entry was committed', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.depose();
    expect(bench.roles).toEqual([false]);
  });
});

test('a replica that is closed leads nothing', async () => {
  const bench = await Bench.make();
  await bench.win();
  await bench.acknowledge(two);
  bench.replica.close();
  expect([bench.replica.isLeader, bench.replica.isReadyLeader]).toEqual([false, false]);
});

describe('a replica that retires', () => {
  test('hands its leadership over once, to the voter that has most', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.acknowledge(two);
    bench.replica.retire();
    await bench.turn();
    expect(bench.sentOf('timeoutNow').map(({ to }) => to)).toEqual([two]);
    for (let i = 0; i < 25; i++) {
      bench.replica.tick();
      await bench.acknowledge(two);
    }
    expect(bench.replica.isLeader).toBe(true);
    expect(bench.sentOf('timeoutNow')).toHaveLength(1);
  });

  test('does so right after a quorum check, when nobody has answered again yet', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.acknowledge(two);
    for (let i = 0; i < 10; i++) bench.replica.tick();
    bench.replica.retire();
    await bench.turn();
    expect(bench.sentOf('timeoutNow')).toHaveLength(1);
  });

  test('takes none over', async () => {
    const bench = await Bench.make();
    await bench.depose();
    bench.replica.retire();
    await bench.step({ type: 'timeoutNow', from: three, to: self, term: bench.replica.term });
    for (let i = 0; i < 50; i++) bench.replica.tick();
    await bench.turn();
    expect([...bench.sentOf('preVoteRequest'), ...bench.sentOf('voteRequest')]).toEqual([]);
  });
});
