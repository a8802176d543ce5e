import { Prng } from '../../src/base/prng.js';
import { SimDisk } from '../../src/sim/disk.js';
import { Scenario } from './scenario.js';

/** Any will do. */
export const lostDiskSeed = 61;

interface LostDisk {
  readonly scenario: Scenario;
  /** Of node 2. */
  readonly disk: SimDisk;
  /** What a read through node 3 finds in the end; the write is `written`. */
  readonly found: string | undefined;
}

/**
 * A write is acknowledged by nodes 1 and 2. Node 2 loses its disk and comes back empty, when only node 3 can be reached,
 * which knows nothing of what those two have committed. Were 2 and 3 to take themselves for a majority, they would commit
 * other entries in its place. Then node 1 is back.
 */
export async function loseDisk(seed: number): Promise<LostDisk> {
  const scenario = await Scenario.formed({ seed });
  await scenario.leadBy(1);
  await scenario.leadBy(1, 0);
  // Each has learned by then with which disk the others have joined.
  await scenario.run(5000);
  scenario.isolate(3);
  await scenario.written(scenario.put(1, 'k', 'written'));
  const lost = scenario.machine(2);
  lost.crash('all');
  const { disk } = lost;
  lost.disk = new SimDisk({ random: new Prng(seed) });
  scenario.heal();
  scenario.isolate(1);
  lost.start();
  await scenario.run(10_000);
  scenario.heal();
  const found = await scenario.value(scenario.get(3, 'k', 'linearizable', 30_000));
  return { scenario, disk, found };
}
