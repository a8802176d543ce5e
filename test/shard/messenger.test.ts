import { describe, expect, test } from 'vitest';
import { LogIndex, NodeId, ReplicaId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { createConfiguration } from '../../src/raft/config.js';
import type { Heartbeat, RaftMessage, SnapshotRequest, VoteRequest } from '../../src/raft/types.js';
import { Freshness } from '../../src/shard/freshness.js';
import { type GroupDescriptor, unknownGroup, withConfiguration } from '../../src/shard/group-descriptor.js';
import { Messenger } from '../../src/shard/messenger.js';
import { Bench as RaftBench } from '../raft/bench.js';
import { descriptor, group, self, three, two } from './replica-bench.js';

const addressed = { to: self, term: Term(1) };
const none = LogIndex(0);

function heartbeat(from: ReplicaId, term = 1): Heartbeat {
  const body = { commit: none, leaderCommit: none, probe: 0, readRound: 0, quiesce: false };
  return { type: 'heartbeat', from, ...addressed, term: Term(term), ...body };
}

function voteRequest(from: ReplicaId): VoteRequest {
  return { type: 'voteRequest', from, ...addressed, lastLogIndex: none, lastLogTerm: Term(0), transfer: false };
}

function offer(from: ReplicaId, to = self): SnapshotRequest {
  const { configuration } = group;
  const snapshot = { index: LogIndex(9), term: Term(1), configuration };
  return { type: 'snapshotRequest', from, ...addressed, to, snapshot };
}

/** Messages of a replica whose core is a real one, and follows. */
class Bench {
  readonly core = new RaftBench();
  readonly sent: string[] = [];
  descriptor: GroupDescriptor;
  readonly messenger: Messenger;

  constructor(of: GroupDescriptor = group) {
    this.descriptor = of;
    const clock = {
      monotonicMs: () => 0,
      wallMicros: () => 0,
      after: () => ({ cancel: () => undefined }),
      endOfTurn: () => undefined,
    };
    this.messenger = new Messenger({
      self,
      shard: descriptor.shard,
      raft: this.core.raft,
      host: { clock, send: ({ node }, _shard, { type, to }) => this.sent.push(`${type} to ${to} on ${node}`) },
      descriptor: () => this.descriptor,
      appliedIndex: () => none,
      freshness: new Freshness(new Prng(1)),
    });
  }

  /** Replica 3 is removed. */
  removeThree(): void {
    this.descriptor = withConfiguration(group, createConfiguration({ voters: [self, two] }));
    this.messenger.groupChanged();
  }

  isTaken(message: RaftMessage): boolean {
    return this.messenger.step(NodeId(message.from), message);
  }
}

const stranger = ReplicaId(9);

describe('a message is taken', () => {
  test('of members, and of replicas that are new; not of one that was removed, nor one for another replica', () => {
    const bench = new Bench();
    bench.removeThree();
    expect(bench.isTaken(voteRequest(three))).toBe(false);
    expect(bench.isTaken({ ...voteRequest(two), to: stranger })).toBe(false);
    expect(bench.core.raft.term).toBe(0);
    expect(bench.isTaken(voteRequest(stranger))).toBe(true);
    expect(bench.isTaken(voteRequest(two))).toBe(true);
    expect(bench.core.raft.term).toBe(1);
  });

  test('of leaders only, by a replica that has no data: it votes for nobody', () => {
    const bench = new Bench(unknownGroup(descriptor.shard));
    expect(bench.isTaken(voteRequest(two))).toBe(false);
    expect(bench.isTaken(heartbeat(two))).toBe(true);
    expect(bench.core.raft.leader).toBe(two);
  });

  test('and noted for how long no leader was heard of, in its own term', () => {
    const { messenger } = new Bench();
    const step = (message: RaftMessage): number => {
      messenger.tick();
      messenger.step(NodeId(message.from), message);
      return messenger.silentTicks;
    };
    expect([step(voteRequest(two)), step(heartbeat(three, 2)), step(heartbeat(two, 1))]).toEqual([1, 0, 1]);
  });
});

describe('what no correct replica sends', () => {
  test.each<[string, RaftMessage, number, string | undefined]>([
    ['a message of a member on its node', heartbeat(two), 2, undefined],
    ['one of a member on another node', heartbeat(two), 3, 'a message of replica 2, which is on node 2'],
    ['a Raft snapshot without its data', offer(two), 2, 'a Raft snapshot without its data'],
    ['a late message for who was here before', { ...heartbeat(two), to: stranger }, 3, undefined],
  ])('%s', (_what, message, node, fault) => {
    expect(new Bench().messenger.messageFault(NodeId(node), message)).toBe(fault);
  });

  test('a late message of one that was removed is no fault', () => {
    const bench = new Bench();
    bench.removeThree();
    expect(bench.messenger.messageFault(NodeId(7), heartbeat(three))).toBeUndefined();
  });
});

describe('a Raft snapshot that is offered', () => {
  test.each<[string, SnapshotRequest, number, string | undefined]>([
    ['by a member', offer(two), 2, undefined],
    ['by a replica that is new', offer(stranger), 7, undefined],
    ['to another replica', offer(two, stranger), 2, 'there is no replica 9 of shard 5 here'],
    ['by one that was removed', offer(three), 3, 'replica 3 does not belong to shard 5 any more'],
    ['by a member on another node', offer(two), 7, 'replica 2 is on node 2'],
  ])('%s', (_what, request, node, fault) => {
    const bench = new Bench();
    bench.removeThree();
    expect(bench.messenger.offerFault(NodeId(node), request)).toBe(fault);
  });
});

describe('who is new', () => {
  test('is answered where it was heard from, until the group has it or it was removed', () => {
    const bench = new Bench();
    bench.messenger.step(NodeId(7), voteRequest(stranger));
    bench.messenger.send({ ...heartbeat(self), to: stranger });
    expect(bench.sent).toEqual(['heartbeat to 9 on 7']);
    bench.descriptor = { ...group, nextReplica: ReplicaId(10) };
    bench.messenger.groupChanged();
    bench.messenger.send({ ...heartbeat(self), to: stranger });
    expect(bench.sent).toHaveLength(1);
  });

  test('is forgotten for sixteen newer ones', () => {
    const { messenger } = new Bench();
    for (let id = 10; id < 27; id++) messenger.step(NodeId(id), voteRequest(ReplicaId(id)));
    expect([10, 11, 26].map((id) => messenger.nodeOf(ReplicaId(id)))).toEqual([undefined, 11, 26]);
  });
});
