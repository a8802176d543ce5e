import { describe, expect, test } from 'vitest';
import { Leader, learner } from '../snapshots/leader.js';
import { LogIndex, ReplicaId } from '../../../src/base/ids.js';
import { logAllowance } from '../../../src/node/replicas/log-allowance.js';

/** Until the few of a shard that has little to do are dropped. */
const fewTicks = 200;
/** Between two looks at what could be dropped. */
const lookTicks = 20;

const shardLogBytesMax = 2000;

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

  test('is kept longer for a follower that lives and takes entries than for one that is away', async () => {
    const leader = await Leader.start({ shardLogBytesMax });
    const { replica } = leader.hosted;
    const had = replica.lastIndex;
    while (replica.logPrefix.bytes < 2 * shardLogBytesMax) await leader.write(10);
    await look(leader, { learnerHas: had });
    expect(replica.logPrefix.allowedIndex).toBe(had);

    // As one that has a Raft snapshot in place, and goes on from there while more is written.
    const has = LogIndex(had + 20);
    await leader.write(40);
    await look(leader, { learnerHas: has });
    expect(replica.logPrefix.allowedIndex).toBe(has);

    await look(leader, { learnerHas: undefined });
    await look(leader, { learnerHas: undefined });
    expect(replica.logPrefix.allowedIndex).toBeGreaterThan(has);
  });

  test('is not kept without end for one that lives and falls behind', async () => {
    const leader = await Leader.start({ shardLogBytesMax });
    const { replica } = leader.hosted;
    const has = replica.lastIndex;
    while (replica.logPrefix.allowedIndex <= has) {
      expect(replica.logPrefix.bytes).toBeLessThanOrEqual(4 * shardLogBytesMax);
      await leader.write(10);
      await look(leader, { learnerHas: has });
    }
    expect(replica.logPrefix.bytes).toBeGreaterThan(4 * shardLogBytesMax);
  });
});

/** Until the leader has had a look at what it could drop. A learner lives as long as it acknowledges; the other has all. */
async function look(leader: Leader, { learnerHas }: { readonly learnerHas: LogIndex | undefined }): Promise<void> {
  for (let tick = 0; tick < lookTicks; tick++) {
    if (learnerHas !== undefined) await leader.acknowledge(learnerHas, learner);
    await leader.acknowledge(leader.hosted.replica.lastIndex, ReplicaId(3));
    await leader.tick(1);
  }
}

test.each([
  [0, 400],
  [399, 400],
  [5000, 5000],
])('a shard of %i bytes may have a log of %i for a follower that is catching up', (shardBytes, catchingUp) => {
  expect(logAllowance(shardBytes, { shardLogBytesMax: 100 })).toEqual({ away: 100, catchingUp });
});
