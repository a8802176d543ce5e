import { setImmediate } from 'node:timers/promises';

import { expect, test } from 'vitest';
import { encodedPut, renewValue } from '../../../bench/cluster/encoded-put.js';
import { keyOf, valueOf } from '../../../bench/cluster/keys.js';
import type { RunningQuorate } from '../../../bench/cluster/quorate-system.js';
import type { Scenario } from '../../../bench/cluster/scenario.js';
import { scenariosOf } from '../../../bench/cluster/scenarios.js';
import { readOperation } from '../../../src/rpc/operation-codec.js';
import { WireReader } from '../../../src/rpc/wire-reader.js';

/** The values that a scenario puts through our client, in the order of time. */
async function valuesPutBy(scenario: Scenario): Promise<Uint8Array[]> {
  const values: Uint8Array[] = [];
  const client = {
    get: () => setImmediate(),
    put: (_key: Uint8Array, value: Uint8Array) => {
      values.push(value);
      return setImmediate();
    },
  };
  const running = { client, keysOfOneShard: [keyOf(0)] } as unknown as RunningQuorate;
  await scenario.ours(running, 0.01);
  return values;
}

test('each put through our client has another value than the one before it', async () => {
  const scenarios = scenariosOf({ keys: 100, valueBytes: 256 }, { quick: false });
  const throughClient = scenarios.filter(({ name }) => name.includes('stream of') && !name.startsWith('get'));
  expect(throughClient.length).toBeGreaterThan(10);
  for (const scenario of throughClient) {
    const values = await valuesPutBy(scenario);
    expect(values.length).toBeGreaterThan(1);
    for (const [i, value] of values.slice(1).entries()) expect(value).not.toEqual(values[i]);
  }
});

test('an encoded put gets another value in place', () => {
  const bytes = encodedPut(keyOf(1), valueOf(300, 1));
  renewValue(bytes, 300, 2);
  const put = readOperation(new WireReader(bytes), () => ({ session: new Uint8Array(16), seq: 1 }));
  expect(put).toMatchObject({ type: 'put', key: new Uint8Array(keyOf(1)), value: new Uint8Array(valueOf(300, 2)) });
});
