import { describe, expect, test } from 'vitest';
import { LogIndex, ReplicaId, ShardId, Term } from '../../src/base/ids.js';
import { silentLogger } from '../../src/env/logger.js';
import { createConfiguration } from '../../src/raft/config.js';
import { Leadership } from '../../src/shard/leadership.js';
import { Bench as RaftBench, peer, self } from '../raft/bench.js';

const [three, learner] = [3, 4].map((id) => ReplicaId(id));

/** A leader of the entries 1 to 4, of which these replicas have acknowledged so many. `dead` cannot be reached. */
function leading(acknowledged: Record<number, number>, dead?: ReplicaId): RaftBench {
  const core = new RaftBench({
    configuration: createConfiguration({ voters: [self, peer, three], learners: [learner] }),
  });
  core.lead();
  for (let i = 0; i < 3; i++) core.raft.propose(new Uint8Array(1));
  core.raft.synced(core.take().syncPoint);
  for (const [id, index] of Object.entries(acknowledged)) core.acknowledge(index, ReplicaId(Number(id)));
  if (dead !== undefined) core.raft.peerUnreachable(dead);
  core.take();
  return core;
}

function leadershipOf({ raft }: RaftBench): Leadership {
  return new Leadership({ raft, shard: ShardId(5), logger: silentLogger, appliedIndex: () => LogIndex(4) });
}

describe('the end of a leadership is told once,', () => {
  test.each<[string, boolean[], (leadership: Leadership) => void]>([
    ['when the role is lost', [false], (leadership) => leadership.roleChanged(false, Term(2))],
    [
      'not by another change of the role',
      [false],
      (leadership) => {
        leadership.roleChanged(false, Term(2));
        leadership.roleChanged(false, Term(3));
      },
    ],
    ['when the replica ends', [false], (leadership) => leadership.close()],
    [
      'when the replica ends that was ready, and not when it ends again',
      [true, false],
      (leadership) => {
        leadership.applied();
        leadership.close();
        leadership.close();
      },
    ],
  ])('%s', (_what, told, end) => {
    const leadership = leadershipOf(leading({}));
    const heard: boolean[] = [];
    leadership.onChange((leads) => heard.push(leads));
    leadership.roleChanged(true, Term(1));
    end(leadership);
    expect(heard).toEqual(told);
  });

  test('also of one that its replica had not heard of', () => {
    const leadership = leadershipOf(leading({}));
    const heard: boolean[] = [];
    leadership.onChange((leads) => heard.push(leads));
    leadership.close();
    expect(heard).toEqual([false]);
  });
});

test.each<[string, Record<number, number>, ReplicaId | undefined, ReplicaId]>([
  ['the voter that has most', { 2: 3, 3: 4 }, undefined, three],
  ['no learner, though it has more', { 2: 3, 3: 2, 4: 4 }, undefined, peer],
  ['nobody who cannot be reached', { 2: 3, 3: 4 }, three, peer],
])('leadership goes to %s', (_what, acknowledged, dead, to) => {
  const bench = leading(acknowledged, dead);
  expect(leadershipOf(bench).transfer()).toBe(true);
  expect(bench.raft.transferTarget).toBe(to);
});
