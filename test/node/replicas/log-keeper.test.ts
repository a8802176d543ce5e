import { describe, expect, test, vi } from 'vitest';
import { Leader, learner } from '../snapshots/leader.js';
import { LogIndex, NodeId, ReplicaId } from '../../../src/base/ids.js';
import { logAllowance } from '../../../src/node/replicas/log-allowance.js';

/** Until the few of a shard that has little to do are dropped. */
const fewTicks = 200;
/** Between two looks at what could be dropped. */
const lookTicks = 20;
/** Of silence, until a follower counts as away. */
const awayTicks = 200;

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
    await writeTo(leader, 1.5 * shardLogBytesMax);
    await look(leader, had);
    expect(replica.logPrefix.allowedIndex).toBe(had);

    // As one that has a Raft snapshot in place, and goes on from there while more is written.
    const has = LogIndex(had + 20);
    await leader.write(20);
    await look(leader, has);
    expect(replica.logPrefix.allowedIndex).toBe(has);

    await look(leader, 'silent', awayTicks + lookTicks);
    expect(replica.logPrefix.allowedIndex).toBeGreaterThan(has);
  });

  test.each([10, 40, 150])('is not cut off from one that is silent for %i ticks', async (silentTicks) => {
    const leader = await Leader.start({ shardLogBytesMax });
    const { replica } = leader.hosted;
    const has = replica.lastIndex;
    await writeTo(leader, 1.5 * shardLogBytesMax);
    await look(leader, has);
    leader.host.peerUnreachable(NodeId(learner));
    await look(leader, 'silent', silentTicks);
    await look(leader, has);
    expect(replica.logPrefix.allowedIndex).toBe(has);
  });

  test('is not kept without end for one that lives and falls behind', async () => {
    const leader = await Leader.start({ shardLogBytesMax });
    const { replica } = leader.hosted;
    const has = replica.lastIndex;
    while (replica.logPrefix.allowedIndex <= has) {
      expect(replica.logPrefix.bytes).toBeLessThanOrEqual(2 * shardLogBytesMax);
      await leader.write(10);
      await look(leader, has);
    }
    expect(replica.logPrefix.bytes).toBeGreaterThan(2 * shardLogBytesMax);
  });

  test('is kept for one that falls behind while it is no longer than the tables of the shard', async () => {
    const leader = await Leader.start({ shardLogBytesMax: 1 });
    const { replica, tree } = leader.hosted;
    await leader.write(5);
    await leader.dropLog();
    const has = replica.lastIndex;
    const { bytes } = tree.stats();
    await writeTo(leader, bytes - 100);
    await look(leader, has);
    expect(replica.logPrefix.bytes).toBeGreaterThan(bytes / 2);
    expect(replica.logPrefix.allowedIndex).toBeLessThanOrEqual(has);
    await writeTo(leader, bytes);
    await look(leader, has);
    expect(replica.logPrefix.allowedIndex).toBeGreaterThan(has);
  });

  test('is kept no longer than for one that is away while the disk is full', async () => {
    const leader = await Leader.start({ shardLogBytesMax });
    const { replica } = leader.hosted;
    const has = replica.lastIndex;
    await writeTo(leader, 1.5 * shardLogBytesMax);
    await look(leader, has);
    expect(replica.logPrefix.allowedIndex).toBe(has);
    vi.spyOn(leader.host, 'isDiskFull', 'get').mockReturnValue(true);
    await look(leader, has);
    expect(replica.logPrefix.allowedIndex).toBeGreaterThan(has);
  });

  test('is not kept without end for one that shows life and nothing else', async () => {
    const leader = await Leader.start({ shardLogBytesMax });
    const { replica } = leader.hosted;
    await writeTo(leader, 3 * shardLogBytesMax);
    await look(leader, 'heartbeats');
    // Little goes at first: that it has nothing is what a new leader believes of everybody.
    const { allowedIndex, firstIndex, bytes } = replica.logPrefix;
    const kept = (bytes * (replica.lastIndex - allowedIndex)) / (replica.lastIndex - firstIndex);
    expect(kept / shardLogBytesMax).toBeCloseTo(2, 1);
  });
});

/** Until the log has more than so many bytes. */
async function writeTo(leader: Leader, bytes: number): Promise<void> {
  while (leader.hosted.replica.logPrefix.bytes <= bytes) await leader.write();
}

/** Until the leader has had a look at what it could drop. The learner acknowledges that it has so much; the other has all. */
async function look(leader: Leader, learnerHas: LogIndex | 'heartbeats' | 'silent', ticks = lookTicks): Promise<void> {
  for (let tick = 0; tick < ticks; tick++) {
    if (learnerHas === 'heartbeats') await leader.answerHeartbeat(learner);
    else if (learnerHas !== 'silent') await leader.acknowledge(learnerHas, learner);
    await leader.acknowledge(leader.hosted.replica.lastIndex, ReplicaId(3));
    await leader.tick(1);
  }
}

test.each([
  { tableBytes: 0, isDiskFull: false, catchingUp: 200 },
  { tableBytes: 199, isDiskFull: false, catchingUp: 200 },
  { tableBytes: 5000, isDiskFull: false, catchingUp: 5000 },
  { tableBytes: 5000, isDiskFull: true, catchingUp: 100 },
])('a shard may have a log of that many bytes: %j', ({ catchingUp, ...room }) => {
  expect(logAllowance(room, { shardLogBytesMax: 100 })).toEqual({ away: 100, catchingUp });
});
