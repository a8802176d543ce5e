import { expect, test, vi } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import { CommonStarts } from '../../src/shard/common-starts.js';
import { Scenario } from '../sim/scenario.js';

test('batches of all shards that a node leads can start together', async () => {
  const shards = [1, 2, 3];
  const scenario = await Scenario.formed({ seed: 1, shards: shards.length });
  for (const shard of shards) await scenario.leadBy(1, shard);
  const startAll = vi.spyOn(CommonStarts.prototype, 'startAll');
  try {
    for (const shard of shards) {
      const { start } = scenario.replica(1, shard).descriptor;
      await scenario.written(scenario.put(1, `${fromUtf8(start)}key`, 'value'));
    }
    expect(startAll.mock.calls).toHaveLength(shards.length);
    expect(new Set(startAll.mock.contexts).size).toBe(1);
  } finally {
    startAll.mockRestore();
  }
});
