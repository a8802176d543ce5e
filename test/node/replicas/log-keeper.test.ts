import { describe, expect, test } from 'vitest';
import { Leader, learner } from '../snapshots/leader.js';
import { ReplicaId } from '../../../src/base/ids.js';

/** Until the few of a shard that has little to do are dropped. */
const fewTicks = 200;

describe('the log of a shard', () => {
  test('is kept from a checkpoint on that is being made or sent, whatever its followers have', async () => {
    const leader = await Leader.start();
    const { replica } = leader.hosted;
    await leader.write(10);
    const { appliedIndex } = replica;
    const making = leader.checkpoints.acquire(leader.hosted, learner);
    await leader.write(10);
    for (const follower of [learner, ReplicaId(3)]) await leader.acknowledge(replica.lastIndex, follower);
    await leader.tick(fewTicks);
    expect(replica.logPrefix.allowedIndex).toBe(appliedIndex);
    leader.checkpoints.release(await making, learner, 'failed');
    for (const follower of [learner, ReplicaId(3)]) await leader.acknowledge(replica.lastIndex, follower);
    const { lastIndex } = replica;
    await leader.tick(fewTicks);
    expect(replica.logPrefix.allowedIndex).toBe(lastIndex);
  });
});
