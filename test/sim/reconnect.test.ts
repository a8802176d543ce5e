import { expect, test } from 'vitest';
import { Scenario } from './scenario.js';

test.each([3000, 20_000])(
  'a follower that was cut off for %i ms catches up within 2 s after healing',
  async (cutMs) => {
    const scenario = await Scenario.formed({ seed: 62 });
    const leader = scenario.leaderOf();
    const [follower] = scenario.others(leader);
    scenario.isolate(follower);
    await scenario.written(scenario.put(leader, 'k', 'meanwhile', { timeoutMs: 10_000 }));
    await scenario.run(cutMs);
    expect(scenario.replica(follower).appliedIndex).toBeLessThan(scenario.replica(scenario.leaderOf()).appliedIndex);
    scenario.heal();
    const hasCaughtUp = (): boolean =>
      scenario.replica(follower).appliedIndex === scenario.replica(scenario.leaderOf()).appliedIndex;
    await scenario.until('the follower has applied what the leader has', hasCaughtUp, 2000);
  },
);
