/**
 * A Raft snapshot is given up when the log behind its checkpoint becomes too long. But where the follower is needed for a
 * quorum, the entries there are committed only when it has the snapshot: it was given up again and again, for a log that
 * could not become shorter, and the shard took no write any more. Found by seed 24 of the simulator.
 */
import { expect, test } from 'vitest';
import { Scenario } from '../sim/scenario.js';

test('a follower that is needed for a quorum gets its snapshot, however much waits for it', async () => {
  // About 20 KB of tables, so that a transfer takes seconds.
  const scenario = await Scenario.formed({ seed: 24, limits: { snapshotBytesPerSecondMax: 10_000 } });
  const leader = scenario.leaderOf();
  const [follower, other] = scenario.others(leader).map((id) => scenario.machine(id));
  follower.crash('none');
  for (let i = 0; i < 400; i++) {
    await scenario.written(scenario.put(leader, `key-${i % 100}`, String(i).padEnd(200, '.')));
  }
  await scenario.run(3000);
  follower.start();
  const isFetching = (): boolean => (follower.node?.snapshotStats.received.bytes ?? 0) > 0;
  await scenario.until('the follower fetches a snapshot', isFetching);

  other.crash('none');
  const { shardLogBytesMax } = scenario.cluster.limits;
  const writes = Array.from({ length: 12 }, (_, i) =>
    scenario.put(leader, `late-${i}`, 'x'.repeat(shardLogBytesMax / 2 - 200), { timeoutMs: 60_000 }),
  );
  for (const write of writes) await scenario.written(write);
  expect(follower.node?.snapshotStats.received.installed).toBe(1);
});
