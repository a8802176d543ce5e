import { expect, test } from 'vitest';
import { loseDisk, lostDiskSeed } from './lost-disk.js';

test('a node that has lost its disk is no part of a majority, until it has its disk back', async () => {
  const { scenario, disk, found } = await loseDisk(lostDiskSeed);
  expect(found).toBe('written');
  const lost = scenario.machine(2);
  expect(lost.failure?.message).toMatch(/lost its disk/);
  lost.disk = disk;
  lost.start();
  await scenario.ready();
  await scenario.run(2000);
  expect(await scenario.value(scenario.get(2, 'k'))).toBe('written');
  expect(await scenario.cluster.checkReplicasAgree()).toBe(true);
  expect(scenario.cluster.violations).toEqual([]);
});
