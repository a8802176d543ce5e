import type { Chaos } from './chaos.js';

const sizes = [3, 5, 3, 2, 4, 3, 1];

/** One run: faults, then recovery. Throws when something does not hold. */
export function runSeed(kind: typeof Chaos, seed: number): Chaos {
  const chaos = new kind(seed, sizes[seed % sizes.length]);
  chaos.run(3000);
  chaos.heal();
  return chaos;
}
