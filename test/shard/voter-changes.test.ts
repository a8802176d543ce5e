import { describe, expect, test } from 'vitest';
import type { QuorateError } from '../../src/base/errors.js';
import { LogIndex, NodeId, ReplicaId, Term } from '../../src/base/ids.js';
import type { Configuration } from '../../src/raft/config.js';
import { leftJoint } from '../../src/raft/config-change.js';
import type { ChangeResult } from '../../src/raft/raft.js';
import { type GroupDescriptor, newGroup, withConfiguration } from '../../src/shard/group-descriptor.js';
import { VoterChanges, votersFault } from '../../src/shard/voter-changes.js';
import { descriptor as shard } from './scripted-executor.js';

const nodes = [1, 2, 3, 4, 5].map((id) => NodeId(id));
const accepted: ChangeResult = { type: 'accepted', index: LogIndex(1), term: Term(1) };

/** A group of five whose proposals wait until the test applies them. */
class Bench {
  group: GroupDescriptor = newGroup({
    ...shard,
    replicas: nodes.map((node) => ({ replica: ReplicaId(node), node })),
  });
  result = accepted;
  readonly proposed: Configuration[] = [];
  readonly ends: (QuorateError | undefined)[] = [];
  readonly changes = new VoterChanges({
    shard: shard.shard,
    descriptor: () => this.group,
    propose: (next) => {
      if (this.result.type === 'accepted') this.proposed.push(next);
      return this.result;
    },
  });

  wish(...voters: number[]): void {
    this.changes.begin(
      voters.map((node) => NodeId(node)),
      (error) => this.ends.push(error),
    );
  }

  apply(next: Configuration): void {
    this.group = withConfiguration(this.group, next);
    this.changes.proceed();
  }

  get voters(): readonly number[] {
    return this.group.configuration.voters;
  }
}

describe('a wish for voters', () => {
  test('of one less is one change', () => {
    const bench = new Bench();
    bench.wish(1, 2, 3, 4);
    bench.apply(bench.proposed[0]);
    expect(bench.ends).toEqual([undefined]);
    expect(bench.voters).toEqual([1, 2, 3, 4]);
    expect(bench.group.configuration.learners).toEqual([5]);
  });

  test('of several goes through a joint configuration, and ends when that is left', () => {
    const bench = new Bench();
    bench.wish(1, 2);
    const [joint] = bench.proposed;
    expect(joint).toMatchObject({ votersOutgoing: nodes, learnersNext: [3, 4, 5], autoLeave: true });
    bench.apply(joint);
    expect([bench.ends, bench.proposed]).toEqual([[], [joint]]);
    bench.apply(leftJoint(joint));
    expect(bench.ends).toEqual([undefined]);
    expect([bench.voters, bench.group.configuration.learners]).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
  });

  test('for what is there ends at once, and does nothing', () => {
    const bench = new Bench();
    bench.wish(1, 2, 3, 4, 5);
    expect([bench.ends, bench.proposed]).toEqual([[undefined], []]);
  });

  test('that is refused for now is tried again', () => {
    const bench = new Bench();
    bench.result = { type: 'refused', reason: 'learnerBehind' };
    bench.wish(1, 2, 3);
    bench.changes.proceed();
    expect([bench.proposed, bench.ends]).toEqual([[], []]);
    bench.result = accepted;
    bench.changes.proceed();
    expect(bench.proposed).toHaveLength(1);
  });

  test.each<[string, (bench: Bench) => void, string]>([
    ['by the next wish', (bench) => bench.wish(1), 'NOT_LEADER'],
    ['when leadership is lost', (bench) => bench.changes.lost(), 'NOT_LEADER'],
    ['when the core says so', (bench) => bench.wish(2), 'NOT_LEADER'],
    ['when the node stops', (bench) => bench.changes.close(), 'NODE_STOPPING'],
  ])('is ended %s, once, with an unknown outcome', (_, end, code) => {
    const bench = new Bench();
    bench.wish(1, 2, 3);
    end(bench);
    bench.changes.lost();
    expect(bench.ends[0]).toMatchObject({ code, outcome: 'unknown' });
    expect(bench.ends.length).toBeLessThanOrEqual(2);
  });
});

test.each([
  ['nobody', [], /needs a voter/],
  ['a node twice', [1, 1], /named twice/],
  ['a node without a replica', [1, 9], /no replica on node 9/],
])('%s cannot be wished for', (_, voters, fault) => {
  const { group } = new Bench();
  expect(
    votersFault(
      group,
      voters.map((node) => NodeId(node)),
    ),
  ).toMatch(fault);
  expect(votersFault(group, nodes)).toBeUndefined();
});
