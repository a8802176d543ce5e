import { describe, expect, test } from 'vitest';
import type { QuorateError } from '../../src/base/errors.js';
import { LogIndex, NodeId, ReplicaId, Term } from '../../src/base/ids.js';
import { createConfiguration, isJoint } from '../../src/raft/config.js';
import { leftJoint } from '../../src/raft/config-change.js';
import type { ChangeResult } from '../../src/raft/raft.js';
import { type GroupDescriptor, newGroup, withConfiguration } from '../../src/shard/group-descriptor.js';
import { MemberChanges, membersFault, membersWith } from '../../src/shard/member-changes.js';
import { descriptor as shard } from './scripted-executor.js';

const accepted: ChangeResult = { type: 'accepted', index: LogIndex(1), term: Term(1) };

/** The group of nodes 1, 2, 3, led by `leader`, whose proposals wait until the test applies them. */
class Bench {
  group: GroupDescriptor = newGroup({
    ...shard,
    replicas: [1, 2, 3].map((id) => ({ replica: ReplicaId(id), node: NodeId(id) })),
  });
  result = accepted;
  readonly absent = new Set<number>();
  readonly proposed: GroupDescriptor[] = [];
  readonly handedOverTo: (readonly ReplicaId[])[] = [];
  readonly ends: (QuorateError | undefined)[] = [];
  readonly changes: MemberChanges;

  constructor(leader = 1) {
    this.changes = new MemberChanges({
      shard: shard.shard,
      self: ReplicaId(leader),
      descriptor: () => this.group,
      storeOf: (node) => (this.absent.has(node) ? undefined : `store-${node}`),
      propose: (next) => {
        if (this.result.type === 'accepted') this.proposed.push(next);
        return this.result;
      },
      handOver: (to) => this.handedOverTo.push(to),
    });
  }

  wish(voters: readonly number[], learners: readonly number[] = [], above?: number): void {
    const [wanted, learning] = [voters, learners].map((nodes) => nodes.map((node) => NodeId(node)));
    this.changes.begin({ voters: wanted, learners: learning, above }, (error) => this.ends.push(error));
  }

  /** Applies what was proposed last; a joint configuration is left at once. */
  apply(): void {
    const next = this.proposed.at(-1);
    if (next === undefined) throw new Error('nothing was proposed');
    this.group = next;
    if (isJoint(next.configuration)) this.group = withConfiguration(next, leftJoint(next.configuration));
    this.changes.proceed();
  }

  /** `node:replica`, with `?` where it learns. */
  get members(): string {
    const { replicas, configuration } = this.group;
    const isLearner = (id: ReplicaId): boolean => configuration.learners.includes(id);
    return replicas.map(({ node, replica }) => `${node}:${replica}${isLearner(replica) ? '?' : ''}`).join(' ');
  }
}

describe('a wish for members', () => {
  test('on another node gives it a new replica, which learns, then votes; the other learns, then leaves', () => {
    const bench = new Bench();
    bench.wish([1, 2, 4]);
    bench.apply();
    expect(bench.members).toBe('1:1 2:2 3:3 4:4?');
    expect(bench.proposed[1].configuration).toMatchObject({ voters: [1, 2, 4], votersOutgoing: [1, 2, 3] });
    bench.apply();
    expect(bench.members).toBe('1:1 2:2 3:3? 4:4');
    bench.apply();
    expect(bench.members).toBe('1:1 2:2 4:4');
    expect(bench.ends).toEqual([undefined]);
  });

  test('gives no replica to a node without a data directory that is in use, and goes on when it has one', () => {
    const bench = new Bench();
    bench.absent.add(4);
    bench.wish([1, 2, 4]);
    expect(bench.proposed).toEqual([]);
    bench.absent.delete(4);
    bench.changes.proceed();
    bench.apply();
    expect(bench.group.replicas.at(-1)).toEqual({ replica: 4, node: 4, storeId: 'store-4' });
  });

  test('on a node that had a replica before gives it another id', () => {
    const bench = new Bench();
    bench.wish([1, 2]);
    bench.apply();
    // Those who do not know yet that the change is committed may need its vote.
    expect([bench.members, bench.ends]).toEqual(['1:1 2:2 3:3?', []]);
    bench.apply();
    expect(bench.members).toBe('1:1 2:2');
    bench.wish([1, 2, 3]);
    bench.apply();
    bench.apply();
    expect(bench.members).toBe('1:1 2:2 3:4');
    expect(bench.ends).toEqual([undefined, undefined]);
  });

  test('for learners, and for less voters', () => {
    const bench = new Bench();
    bench.wish([1], [2, 5]);
    bench.apply();
    bench.apply();
    expect(bench.members).toBe('1:1 2:2? 3:3? 5:4?');
    bench.apply();
    expect(bench.members).toBe('1:1 2:2? 5:4?');
    expect(bench.ends).toEqual([undefined]);
  });

  test('without the leader has it hand over, when the others are what they are to be', () => {
    const bench = new Bench(3);
    bench.wish([1, 4]);
    for (let i = 0; i < 3; i++) bench.apply();
    expect(bench.members).toBe('1:1 3:3 4:4');
    expect(bench.handedOverTo).toEqual([[1, 4]]);
    expect(bench.ends).toEqual([]);
    bench.changes.lost();
    expect(bench.ends).toMatchObject([{ code: 'NOT_LEADER', outcome: 'unknown' }]);
    expect(bench.proposed).toHaveLength(3);
  });

  test('that the leader learns has it hand over, too', () => {
    const bench = new Bench(3);
    bench.wish([1, 2], [3]);
    expect([bench.proposed, bench.handedOverTo]).toEqual([[], [[1, 2]]]);
  });

  test('for what is there ends at once, and does nothing', () => {
    const bench = new Bench();
    bench.wish([1, 2, 3]);
    expect([bench.ends, bench.proposed]).toEqual([[undefined], []]);
  });

  test('above an epoch has the same members follow themselves, once, where nothing else is to change', () => {
    const bench = new Bench();
    const { membership } = bench.group.epoch;
    bench.wish([1, 2, 3], [], membership);
    expect([bench.ends, bench.proposed.length]).toEqual([[], 1]);
    bench.apply();
    expect([bench.ends, bench.proposed.length]).toEqual([[undefined], 1]);
    expect([bench.members, bench.group.epoch.membership]).toEqual(['1:1 2:2 3:3', membership + 1]);
    bench.wish([1, 2, 3], [], membership);
    expect([bench.ends.length, bench.proposed.length]).toEqual([2, 1]);
  });

  test('waits while a joint configuration is to be left', () => {
    const bench = new Bench();
    bench.wish([1], [2, 3]);
    const [joint] = bench.proposed;
    bench.group = joint;
    bench.changes.proceed();
    expect(bench.proposed).toEqual([joint]);
  });

  test('that is refused for now is tried again', () => {
    const bench = new Bench();
    bench.result = { type: 'refused', reason: 'learnerBehind' };
    bench.wish([1, 2]);
    bench.changes.proceed();
    expect([bench.proposed, bench.ends]).toEqual([[], []]);
    bench.result = accepted;
    bench.changes.proceed();
    expect(bench.proposed).toHaveLength(1);
  });

  test.each<[string, (bench: Bench) => void, string]>([
    ['by the next wish', (bench) => bench.wish([1]), 'NOT_LEADER'],
    ['when leadership is lost', (bench) => bench.changes.lost(), 'NOT_LEADER'],
    ['when the node stops', (bench) => bench.changes.close(), 'NODE_STOPPING'],
  ])('is ended %s, once, with an unknown outcome', (_, end, code) => {
    const bench = new Bench();
    bench.wish([1, 2]);
    end(bench);
    bench.changes.lost();
    expect(bench.ends[0]).toMatchObject({ code, outcome: 'unknown' });
    expect(bench.ends.length).toBeLessThanOrEqual(2);
  });

  test('ends when the core says that it does not lead', () => {
    const bench = new Bench();
    bench.result = { type: 'refused', reason: 'notLeader' };
    bench.wish([1, 2]);
    expect(bench.ends).toMatchObject([{ code: 'NOT_LEADER' }]);
  });
});

test.each([
  ['nobody', [], [1], /needs a voter/],
  ['a node twice', [1, 1], [], /node 1 is named twice/],
  ['a voter that learns', [1, 2], [2], /node 2 is named twice/],
])('%s cannot be wished for', (_, voters, learners, fault) => {
  const nodes = (of: readonly number[]): NodeId[] => of.map((node) => NodeId(node));
  expect(membersFault(shard, { voters: nodes(voters), learners: nodes(learners) })).toMatch(fault);
  expect(membersFault(shard, { voters: nodes([1, 9]), learners: [] })).toBeUndefined();
});

describe('a node in place of others', () => {
  const bench = (voters: readonly number[], learners: readonly number[]): GroupDescriptor => {
    const replicas = [...voters, ...learners].map((id) => ({ replica: ReplicaId(id), node: NodeId(id) }));
    const ids = (nodes: readonly number[]): ReplicaId[] => nodes.map((id) => ReplicaId(id));
    const configuration = createConfiguration({ voters: ids(voters), learners: ids(learners) });
    return { ...newGroup({ ...shard, replicas }), configuration };
  };

  test.each<[string, [number[], number[]], number[], [number[], number[]]]>([
    ['votes where one of them votes', [[1, 2, 3], []], [3], [[1, 2, 5], []]],
    ['is what is wanted of it, whatever the one before it is', [[1, 2, 3], [4]], [4], [[1, 2, 3, 5], []]],
    ['votes still when that one learns, to leave', [[1, 2, 5], [3]], [3], [[1, 2, 5], []]],
    ['votes in place of a voter and of a learner that was to', [[1, 2, 3], [4]], [3, 4], [[1, 2, 5], []]],
    ['votes in place of one that is lost, and of a learner that was to', [[1, 2], [4]], [3, 4], [[1, 2, 5], []]],
  ])('%s', (_, [voters, learners], instead, [votersThen, learnersThen]) => {
    const wanted = { node: NodeId(5), role: 'voter', instead: instead.map((node) => NodeId(node)) } as const;
    const members = membersWith(bench(voters.sort(), learners), wanted);
    expect({ voters: [...members.voters].sort(), learners: members.learners }).toEqual({
      voters: votersThen,
      learners: learnersThen,
    });
  });
});
