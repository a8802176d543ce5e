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
