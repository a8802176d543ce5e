import type { Prng } from '../src/base/prng.js';

/** Draws numbers below `count`, low ones more often, by the usual exponent of 0.99; by inversion of the sums. */
export function zipfian(count: number, random: Prng): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) sums[i] = sum += 1 / (i + 1) ** 0.99;
  return () => {
    const drawn = random.float() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle] < drawn) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
