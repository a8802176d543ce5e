import { describe, expect, test } from 'vitest';
import { emptyBytes } from '../../src/base/bytes.js';
import { NodeId, ReplicaId, ShardId } from '../../src/base/ids.js';
import { composeStatus } from '../../src/node/cluster-status.js';
import type { InitialNode } from '../../src/node/options.js';
import { emptyPlacementState } from '../../src/placement/placement-state.js';
import { ShardMap } from '../../src/placement/shard-map.js';
import type { ClusterStatus, ShardStatus } from '../../src/rpc/backend.js';
import type { LocalReplicaStatus, LocalStatus } from '../../src/rpc/peer-messages.js';
import type { ShardDescriptor } from '../../src/shard/descriptor.js';

const initialNodes = [1, 2, 3].map((id): InitialNode => ({
  id: NodeId(id),
  clientAddress: `c${id}:1`,
  peerAddress: `p${id}:1`,
}));
const shard: ShardDescriptor = {
  shard: ShardId(4),
  start: emptyBytes,
  end: emptyBytes,
  epoch: { membership: 1, range: 2 },
  replicas: [1, 2, 3].map((id) => ({ replica: ReplicaId(id), node: NodeId(id) })),
};
const placement = { ...emptyPlacementState, shardMap: new ShardMap(1, [shard]) };

interface Said {
  readonly shard?: number;
  readonly node: number;
  readonly leader?: number;
  readonly term: number;
  readonly bytes?: number;
}

function answer({ shard: id = 4, node, leader, term, bytes = node * 100 }: Said): LocalStatus {
  const replica: LocalReplicaStatus = {
    shard: ShardId(id),
    leader: leader === undefined ? undefined : NodeId(leader),
    term,
    appliedIndex: 10 * node,
    commitIndex: 10 * node + 1,
    bytes,
    membership: 1,
    members: [],
  };
  const snapshots = { sentBytes: node, receivedBytes: 0, installed: 0 };
  const facts = { pid: 1000 + node, softwareVersion: '1.0', logBytes: 7 * node };
  return { node: NodeId(node), ...facts, replicas: [replica], snapshots };
}

function statusOf(...said: readonly Said[]): ClusterStatus {
  return composeStatus({ clusterId: 'c', initialNodes, placement, answers: said.map(answer) });
}

describe('the status of the cluster', () => {
  test('lists nodes and shards with what each node said of itself', () => {
    const status = statusOf({ node: 1, leader: 1, term: 5 }, { node: 2, leader: 1, term: 5 });
    expect(
      status.nodes.map(({ id, pid, live, logBytes, snapshots }) => [id, pid, live, logBytes, snapshots.sentBytes]),
    ).toEqual([
      [1, 1001, true, 7, 1],
      [2, 1002, true, 14, 2],
      [3, 0, false, 0, 0],
    ]);
    expect(status.shards).toEqual<ShardStatus[]>([
      {
        id: ShardId(4),
        start: emptyBytes,
        end: emptyBytes,
        epoch: { membership: 1, range: 2 },
        leader: NodeId(1),
        term: 5,
        bytes: 100,
        replicas: [
          { node: NodeId(1), replica: ReplicaId(1), role: 'voter', appliedIndex: 10, commitIndex: 11, live: true },
          { node: NodeId(2), replica: ReplicaId(2), role: 'voter', appliedIndex: 20, commitIndex: 21, live: true },
          { node: NodeId(3), replica: ReplicaId(3), role: 'voter', appliedIndex: 0, commitIndex: 0, live: false },
        ],
      },
    ]);
  });

  test.each<{ what: string; said: Said[]; leader: number | undefined; term: number; bytes: number }>([
    { what: 'nobody answers', said: [], leader: undefined, term: 0, bytes: 0 },
    {
      what: 'an old leader does not know of the new one',
      said: [
        { node: 1, leader: 1, term: 5 },
        { node: 2, leader: 3, term: 6 },
        { node: 3, leader: 3, term: 6 },
      ],
      leader: 3,
      term: 6,
      bytes: 300,
    },
    {
      what: 'of one term only one has heard the leader',
      said: [
        { node: 1, term: 6 },
        { node: 2, leader: 2, term: 6 },
      ],
      leader: 2,
      term: 6,
      bytes: 200,
    },
    {
      what: 'the leader does not answer',
      said: [
        { node: 1, leader: 3, term: 6 },
        { node: 2, leader: 3, term: 6 },
      ],
      leader: undefined,
      term: 6,
      bytes: 100,
    },
    {
      what: 'an election is under way',
      said: [
        { node: 1, leader: 1, term: 5 },
        { node: 2, term: 6 },
      ],
      leader: undefined,
      term: 6,
      bytes: 200,
    },
  ])('when $what', ({ said, leader, term, bytes }) => {
    const [first] = statusOf(...said).shards;
    expect(first).toMatchObject({ term, bytes });
    expect(first.leader).toBe(leader);
  });

  test('has the placement group apart, also before there are shards', () => {
    const said = [
      { shard: 0, node: 1, leader: 2, term: 3 },
      { shard: 0, node: 2, leader: 2, term: 3 },
    ];
    const answers = said.map(answer);
    const status = composeStatus({ clusterId: 'c', initialNodes, placement: emptyPlacementState, answers });
    expect(status.shards).toEqual([]);
    expect(status.placement).toMatchObject({ id: 0, leader: 2, term: 3, bytes: 200 });
    expect(status.placement.replicas.map(({ node, appliedIndex, live }) => [node, appliedIndex, live])).toEqual([
      [1, 10, true],
      [2, 20, true],
      [3, 0, false],
    ]);
  });

  test('gives the addresses of the registry, and those of the configuration where it has none', () => {
    const moved = { id: NodeId(2), storeId: 's', clientAddress: 'moved:1', peerAddress: 'moved:2' };
    const added = { id: NodeId(7), storeId: 't', clientAddress: 'added:1', peerAddress: 'added:2' };
    const nodes = new Map([moved, added].map((node) => [node.id, node]));
    const status = composeStatus({ clusterId: 'c', initialNodes, placement: { ...placement, nodes }, answers: [] });
    expect(status.nodes.map(({ id, clientAddress, peerAddress }) => [id, clientAddress, peerAddress])).toEqual([
      [1, 'c1:1', 'p1:1'],
      [2, 'moved:1', 'moved:2'],
      [3, 'c3:1', 'p3:1'],
      [7, 'added:1', 'added:2'],
    ]);
  });
});
