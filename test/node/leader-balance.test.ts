import { NodeId, ShardId } from '../../src/base/ids.js';
import { silentLogger } from '../../src/env/logger.js';
import { LeaderBalance, leaderInstead } from '../../src/node/leader-balance.js';
import { expect, test } from 'vitest';

const lookTicks = 20;

/** Node 1 leads shard 7, which node 2 had better lead; `handOvers` has the looks at which it was handed over. */
function balanceOf(returns: (handOvers: readonly number[]) => boolean): { run(looks: number): readonly number[] } {
  const handOvers: number[] = [];
  let look = 0;
  let isReadyLeader = true;
  const balance = new LeaderBalance({
    nodeId: NodeId(1),
    logger: silentLogger,
    preferredLeader: () => NodeId(2),
    replicas: () => [
      {
        shard: ShardId(7),
        isReadyLeader,
        isHandingOver: false,
        isCaughtUp: () => true,
        transferLeadership: () => {
          handOvers.push(look);
          isReadyLeader = returns(handOvers);
          return true;
        },
      },
    ],
  });
  return {
    run: (looks) => {
      for (let end = look + looks; look < end;) {
        look++;
        for (let i = 0; i < lookTicks; i++) balance.tick();
      }
      return handOvers;
    },
  };
}

test('hands over after some looks, and once where the leadership stays away', () => {
  expect(balanceOf(() => false).run(1000)).toEqual([5]);
});

test('a leadership that comes back is handed over ever more seldom', () => {
  const handOvers = balanceOf(() => true).run(2000);
  const pauses = handOvers.slice(1).map((look, i) => look - handOvers[i]);
  expect(pauses).toEqual([30, 60, 120, 240, 480, 960]);
});

test.each<[string, number[], number, number | undefined]>([
  ['no member refuses it', [9], 2, undefined],
  ['members refuse it: the next voter', [1], 2, 3],
  ['it is the last voter: the first', [2], 3, 1],
  ['those that refuse it do not lead', [3], 2, 1],
  ['a learner refuses it', [4], 2, 3],
  ['all others refuse it', [1, 3], 2, undefined],
])('who leads the placement group instead of a node, where %s', (_, refusedBy, self, expected) => {
  const group = { members: [1, 2, 3, 4].map(NodeId), able: [1, 2, 3].map(NodeId) };
  expect(leaderInstead(NodeId(self), group, new Set(refusedBy.map(NodeId)))).toBe(expected);
});
