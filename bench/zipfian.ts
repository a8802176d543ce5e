import type { Prng } from '../src/base/prng.js';

const exponent = 0.99;

/**
 * Draws numbers below `count`, low ones more often, by the usual exponent of 0.99; without a table, after Gray et al.,
 * "Quickly generating billion-record synthetic databases" (1994).
 */
export function zipfian(count: number, random: Prng): () => number {
  let sum = 0;
  for (let i = 1; i <= count; i++) sum += i ** -exponent;
  const alpha = 1 / (1 - exponent);
  const firstTwo = 1 + 2 ** -exponent;
  const eta = (1 - (2 / count) ** (1 - exponent)) / (1 - firstTwo / sum);
  return () => {
    const drawn = random.float();
    if (drawn * sum < 1) return 0;
    if (drawn * sum < firstTwo) return 1;
    return Math.min(count - 1, Math.floor(count * (eta * drawn - eta + 1) ** alpha));
  };
}
