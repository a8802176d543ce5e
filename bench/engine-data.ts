/** Keys and values for the engine, as db_bench makes them. */
import { Prng } from '../src/base/prng.js';

/** 16 decimal digits. */
export function key16(n: number): Uint8Array {
  const key = new Uint8Array(16);
  for (let i = 15; i >= 0; i--) {
    key[i] = 48 + (n % 10);
    n = Math.floor(n / 10);
  }
  return key;
}

/** Parts of a long text of which half is noise. */
export class EngineValues {
  readonly #text: Uint8Array;
  readonly #valueBytes: number;
  #at = 0;

  constructor(valueBytes: number) {
    const random = new Prng(2);
    this.#valueBytes = valueBytes;
    this.#text = new Uint8Array(Math.max(1 << 20, 4 * valueBytes));
    for (let at = 0; at < this.#text.length; at += 100) {
      const noise = random.bytes(50);
      this.#text.set(noise, at);
      this.#text.set(noise.subarray(0, Math.min(50, this.#text.length - at - 50)), at + 50);
    }
  }

  next(): Uint8Array {
    if (this.#at + this.#valueBytes > this.#text.length) this.#at = 0;
    this.#at += this.#valueBytes;
    return this.#text.subarray(this.#at - this.#valueBytes, this.#at);
  }
}

/** All numbers below `count`, in an order of no rule. */
export function permutation(count: number, random: Prng): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, n) => n);
  for (let n = count - 1; n > 0; n--) {
    const other = random.int(0, n);
    [order[n], order[other]] = [order[other], order[n]];
  }
  return order;
}
