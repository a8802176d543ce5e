import { expect, test } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.js';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId } from '../../../src/base/ids.js';
import { ReplicaChanges } from '../../../src/node/membership/replica-changes.js';
import type { NodeStage } from '../../../src/placement/node-registry.js';
import { newGroup } from '../../../src/shard/group-descriptor.js';
import { membersOfWish } from '../../../src/shard/member-changes.js';
import type { Replica } from '../../../src/shard/replica.js';
import { SystemClock } from '../../../src/platform/clock.js';

const [one, two, three] = [1, 2, 3].map(NodeId);
const shard = {
  shard: ShardId(1),
  start: emptyBytes,
  end: emptyBytes,
  epoch: { membership: 1, range: 1 },
  replicas: [{ node: two, replica: ReplicaId(2) }],
};
const wanted = { shard: shard.shard, members: { voters: [two, three], learners: [] } };

/** Node 1, which asks node 2, the leader; node 3 joins when it was asked for the second time. */
function changesAtNodeOne(stageOf: (node: NodeId) => NodeStage | undefined): {
  asked: number;
  changes: ReplicaChanges;
} {
  const seen = { asked: 0 };
  const changes = new ReplicaChanges({
    nodeId: one,
    clock: new SystemClock(),
    nodes: () => new Set([one, two, three]),
    storeOf: (node) => (node === three ? undefined : `store-${node}`),
    stageOf,
    plannedFor: () => undefined,
    shardInMap: () => shard,
    hosted: () => undefined,
    leaderOf: () => two,
    tellWanted: () => Promise.resolve(),
    request: () => {
      if (++seen.asked < 2) return Promise.reject(new QuorateError('UNAVAILABLE', 'node 3 takes no replicas now'));
      return Promise.resolve({ type: 'membersChanged' });
    },
  });
  return Object.assign(seen, { changes });
}

test('a node that is known and has not joined yet is waited for, as in the first moments of a cluster', async () => {
  const node = changesAtNodeOne(() => undefined);
  await node.changes.change(wanted, 10_000);
  expect(node.asked).toBe(2);
});

test.each(['leaving', 'vacant', 'draining'] as const)(
  'a node that is %s gets no replica, which is said at once',
  async (stage) => {
    const node = changesAtNodeOne((of) => (of === three ? stage : undefined));
    await expect(node.changes.change(wanted, 10_000)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'replicas: node 3 takes none: it is being replaced or removed',
    });
    expect(node.asked).toBe(0);
  },
);

/** Node 2 leads the shard and carries out what is wished for at once; what happened, in order. */
function changesAtLeader(tell: () => Promise<void>): { events: string[]; changes: ReplicaChanges } {
  const events: string[] = [];
  const replica: Pick<Replica, 'descriptor' | 'isChangingMembers' | 'changeMembers'> = {
    isChangingMembers: false,
    descriptor: newGroup(shard),
    changeMembers: (members, done) => {
      const { voters, above } = membersOfWish(members, newGroup(shard));
      events.push(above === undefined ? `members ${voters.join(' ')}` : `seal ${above}`);
      done(undefined);
    },
  };
  const changes = new ReplicaChanges({
    nodeId: two,
    clock: new SystemClock(),
    nodes: () => new Set([one, two, three]),
    storeOf: (node) => `store-${node}`,
    stageOf: () => undefined,
    plannedFor: () => undefined,
    shardInMap: () => shard,
    hosted: () => ({ replica }),
    leaderOf: () => two,
    tellWanted: async () => {
      events.push('tell');
      await tell();
    },
    request: () => Promise.reject(new Error('nobody else is asked')),
  });
  return { events, changes };
}

test("an operator's wish stands when the placement group knows of it, and not before", async () => {
  let tells = 0;
  const refusal = new QuorateError('NOT_LEADER', 'the placement group (shard 0) has no leader');
  const { events, changes } = changesAtLeader(() => (++tells < 2 ? Promise.reject(refusal) : Promise.resolve()));
  await changes.change(wanted, 10_000);
  // What failed is done again, all of it: the members may have changed meanwhile.
  expect(events).toEqual(['members 2 3', 'tell', 'members 2 3', 'tell', 'seal 1']);
});

test('of a step of the placement group that group is not told: it would strike its own plan', async () => {
  const { events, changes } = changesAtLeader(() => Promise.resolve());
  const step = {
    shard: shard.shard,
    node: three,
    storeId: 'store-3',
    role: 'voter',
    instead: [],
    membership: 1,
  } as const;
  await changes.changeMember(step, 10_000, new AbortController().signal);
  expect(events).toEqual(['members 2 3']);
});
