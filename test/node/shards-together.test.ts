/** What a node has for all its shards at once. */
import { expect, test, vi } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { fromUtf8 } from '../../src/base/bytes.js';
import { CommonStarts } from '../../src/shard/common-starts.js';
import { Scenario, type Call } from '../sim/scenario.js';

/** A cluster of three, and the third of the shards that node 1 leads. */
async function balanced(): Promise<{ readonly scenario: Scenario; readonly shards: readonly number[] }> {
  const all = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const scenario = await Scenario.formed({ seed: 1, shards: all.length });
  const led = (): number[] => all.filter((shard) => scenario.leaderOf(shard) === 1);
  await scenario.until('node 1 has its part', () => led().length === 3, 60_000);
  return { scenario, shards: led() };
}

function put(scenario: Scenario, shard: number): Call {
  const { start } = scenario.replica(1, shard).descriptor;
  return scenario.put(1, `${fromUtf8(start)}key`, 'value');
}

test('batches of all shards that a node leads can start together', async () => {
  const { scenario, shards } = await balanced();
  const startAll = vi.spyOn(CommonStarts.prototype, 'startAll');
  try {
    for (const shard of shards) await scenario.written(put(scenario, shard));
    expect(startAll.mock.calls).toHaveLength(shards.length);
    expect(new Set(startAll.mock.contexts).size).toBe(1);
  } finally {
    startAll.mockRestore();
  }
});

test('what its shards begin in a turn goes to each follower in one frame', async () => {
  const { scenario, shards } = await balanced();
  const { host } = defined(scenario.machine(1).node, 'node 1');
  const { sendRaft } = host;
  const frames: number[] = [];
  host.sendRaft = (node, messages) => {
    const appends = messages.filter(({ message }) => message.type === 'appendRequest' && message.entries.length > 0);
    if (appends.length > 0) frames.push(appends.length);
    sendRaft(node, messages);
  };
  const calls = shards.map((shard) => put(scenario, shard));
  for (const call of calls) await scenario.written(call);
  expect(frames).toEqual([3, 3]);
});
