import { randomFillSync, randomInt } from 'node:crypto';
import { Prng } from '../base/prng.js';

/** A seed for `Prng` that hardly another process has: 47 bits from the operating system. */
export function systemRandomSeed(): number {
  return randomInt(2 ** 47);
}

/**
 * The randomness of a process. Bytes are names that nobody else may have (sessions, stores), so they come from the operating
 * system: a `Prng` has 32 bits of a seed, and so have all names that are drawn from it.
 */
export class SystemRandom extends Prng {
  constructor(seed = systemRandomSeed()) {
    super(seed);
  }

  /** Named by nobody: no two are alike. */
  override split(): SystemRandom {
    return new SystemRandom();
  }

  override bytes(length: number): Uint8Array {
    return randomFillSync(new Uint8Array(length));
  }
}
