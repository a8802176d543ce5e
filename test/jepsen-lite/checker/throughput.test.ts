import { expect, test } from 'vitest';
import { checkHistory, registerModel } from '../../../jepsen-lite/checker/check.js';
import { Prng } from '../../../src/base/prng.js';
import { RegisterStore, registerInputs } from './register-store.js';
import { recordClients } from './simulated-clients.js';

test.each([
  { operations: 100_000, keys: 500, clients: 100, unknownChance: 0.001 },
  { operations: 30_000, keys: 1, clients: 10, unknownChance: 0 },
])('checks $operations operations over $keys keys within the 30 seconds it is meant for', (load) => {
  const prng = new Prng(7);
  const nextInput = registerInputs(prng.split('inputs'));
  const history = recordClients({ prng, object: new RegisterStore(), nextInput, ...load });
  const startMs = performance.now();
  const { verdict, partitions } = checkHistory({ model: registerModel, history, now: () => performance.now() });
  const seconds = (performance.now() - startMs) / 1000;
  process.stdout.write(`${load.operations} operations over ${load.keys} keys: ${seconds.toFixed(2)} s\n`);
  expect(verdict).toBe('linearizable');
  expect(partitions).toHaveLength(load.keys);
  expect(seconds).toBeLessThan(30);
});
