import { expect, test } from 'vitest';
import { Scenario } from './scenario.js';

test('a node that starts on a full disk serves reads, refuses writes, and takes them when there is room', async () => {
  const scenario = await Scenario.formed({ seed: 91, nodes: 1 });
  for (let i = 0; i < 50; i++) await scenario.written(scenario.put(1, `key-${i}`, 'x'.repeat(2000)));
  const machine = scenario.machine(1);
  machine.crash('none');
  // Less than a segment is made with.
  machine.disk.quotaBytes = machine.disk.usedBytes() + scenario.cluster.limits.segmentBytesMax / 2;
  machine.start();
  await scenario.ready();
  expect(await scenario.value(scenario.get(1, 'key-49'))).toBe('x'.repeat(2000));
  const refused = await scenario.failed(scenario.put(1, 'key-0', 'new'));
  expect(refused).toMatchObject({ code: 'DISK_FULL', outcome: 'notApplied' });
  machine.disk.quotaBytes = Infinity;
  await scenario.run(2000);
  await scenario.written(scenario.put(1, 'key-0', 'new'));
  expect(scenario.cluster.failures).toEqual([]);
});

test('what the log keeps to be overwritten goes when the tables have no room', async () => {
  const scenario = await Scenario.formed({ seed: 92, nodes: 1 });
  const machine = scenario.machine(1);
  const spareBytes = (): number => machine.node?.host.logStats.spareBytes ?? 0;
  const write = (i: number): Promise<unknown> => scenario.written(scenario.put(1, `key-${i % 50}`, 'x'.repeat(2000)));
  for (let i = 0; spareBytes() === 0; i++) await write(i);
  machine.disk.fault = (operation, path) =>
    operation === 'write' && path.includes('/shards/') ? 'noSpace' : undefined;
  // Nobody waits for these: one is to be answered when there is room again.
  for (let i = 0; machine.node?.host.isDiskFull === false; i++) {
    scenario.put(1, `key-${i % 50}`, 'x'.repeat(2000));
    await scenario.run(20);
  }
  await scenario.run(1000);
  expect(spareBytes()).toBe(0);
  machine.disk.fault = undefined;
  await scenario.run(2000);
  await write(0);
  expect(scenario.cluster.failures).toEqual([]);
});
