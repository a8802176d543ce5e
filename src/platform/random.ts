import { randomInt } from 'node:crypto';

/** A seed for `Prng` that no other process has: 47 bits from the operating system. */
export function systemRandomSeed(): number {
  return randomInt(2 ** 47);
}
