import { describe, expect, test } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.js';
import { NodeId, ReplicaId, ShardId, Term, Timestamp } from '../../../src/base/ids.js';
import { handedOn, wayToLeader, type KnownLeaders, type WayOptions } from '../../../src/node/routing/relay.js';
import type { PeerRequest } from '../../../src/rpc/peer-messages.js';

const usual: WayOptions = {
  leader: NodeId(2),
  isAvoided: false,
  reachable: [NodeId(4), NodeId(2), NodeId(3)],
  helped: undefined,
  relaysFailed: 0,
};
const without2 = [NodeId(3), NodeId(4), NodeId(5)];
const none: readonly NodeId[] = [];

describe('the way to the placement leader', () => {
  test.each<[string, Partial<WayOptions>, string]>([
    ['is direct where that can be', {}, 'direct 2'],
    ['is direct also where a relay helped last', { helped: NodeId(3), relaysFailed: 1 }, 'direct 2'],
    ['leads over another where the leader cannot be reached', { reachable: without2 }, 'relay 3'],
    ['leads over another where no leader is known', { leader: undefined }, 'relay 2'],
    ['leads over the one that helped last', { reachable: without2, helped: NodeId(5) }, 'relay 5'],
    ['leads over the next where that failed', { reachable: without2, helped: NodeId(5), relaysFailed: 1 }, 'relay 3'],
    ['leads over each in turn', { reachable: without2, helped: NodeId(5), relaysFailed: 2 }, 'relay 4'],
    ['comes back to the first', { reachable: without2, helped: NodeId(5), relaysFailed: 3 }, 'relay 5'],
    ['does not wait for one that is gone', { reachable: without2, helped: NodeId(9) }, 'relay 3'],
    ['leads over another where the leader was asked in vain', { isAvoided: true }, 'relay 3'],
    ['leads over that leader last, who may know the next', { isAvoided: true, relaysFailed: 2 }, 'relay 2'],
    ['is tried where nobody can be reached, so that the error says so', { reachable: none }, 'direct 2'],
    ['is none where nobody is known or reached', { reachable: none, leader: undefined }, 'none'],
  ])('%s', (_what, changes, expected) => {
    const way = wayToLeader({ ...usual, ...changes });
    expect(way.type === 'none' ? 'none' : `${way.type} ${way.node}`).toBe(expected);
  });
});

const voucher = { replica: ReplicaId(7), term: Term(3) };
const shard = {
  shard: ShardId(1),
  start: emptyBytes,
  end: emptyBytes,
  epoch: { membership: 1, range: 1 },
  replicas: [],
};
const execute: PeerRequest = { type: 'execute', shard: ShardId(1), epoch: shard.epoch, operations: [] };
const range = { start: emptyBytes, end: emptyBytes, at: Timestamp(1), reverse: false, keysOnly: false } as const;
const scanPage: PeerRequest = {
  ...{ type: 'scanPage', shard: ShardId(1), epoch: shard.epoch, ...range },
  ...{ bytesMax: 1, recordsMax: 1, consistency: 'linearizable' },
};
const timestamps: PeerRequest = { type: 'timestamps', count: 5, voucher: { replica: ReplicaId(9), term: Term(9) } };

/** Node 1, asked by node 2. */
function known(leader: number | undefined): KnownLeaders {
  const node = leader === undefined ? undefined : NodeId(leader);
  return {
    nodeId: NodeId(1),
    placementLeader: { leaderNode: node, voucher },
    shardMap: () => ({ byId: (id) => (id === shard.shard ? shard : undefined) }),
    leaderOf: () => node,
  };
}

describe('a node that is asked to hand on', () => {
  test.each([execute, scanPage])('hands $type on to the leader as it is', (body) => {
    expect(handedOn(NodeId(2), { relay: true, body }, known(3))).toEqual({ node: 3, body });
  });

  test('asks for timestamps in its own name: its voucher is younger than the question', () => {
    const body = { type: 'timestamps', count: 5, voucher };
    expect(handedOn(NodeId(2), { relay: true, body: timestamps }, known(3))).toEqual({ node: 3, body });
  });

  test.each<[string, PeerRequest, boolean, number | undefined]>([
    ['was not asked to: what was handed on is never handed on again', execute, false, 3],
    ['leads', execute, true, 1],
    ['leads the placement group', timestamps, true, 1],
    ['knows no leader', timestamps, true, undefined],
    ['takes the asker for the leader', execute, true, 2],
    ['does not know the shard', { ...execute, shard: ShardId(8) }, true, 3],
    ['is asked for something else', { type: 'removeNode', node: NodeId(4), storeId: undefined }, true, 3],
  ])('answers itself where it %s', (_what, body, relay, leader) => {
    expect(handedOn(NodeId(2), { relay, body }, known(leader))).toBeUndefined();
  });
});
