import { expect, test } from 'vitest';
import { runLoad } from '../../bench/measure.js';

test('an operation that fails is counted, and its caller goes on', async () => {
  const operation = (n: number): Promise<void> =>
    n % 10 === 3 ? Promise.reject(new Error('overloaded')) : new Promise((resolve) => setImmediate(resolve));
  const result = await runLoad({ inFlight: 2, seconds: 0.1, operation });
  expect(result.failed).toBeGreaterThan(1);
  expect(result.operations).toBeGreaterThan(result.failed);
});

test('a load of which nothing is done ends with what went wrong', async () => {
  const operation = (): Promise<void> => Promise.reject(new Error('no such node'));
  await expect(runLoad({ inFlight: 4, seconds: 0.02, operation })).rejects.toThrow('no such node');
});
