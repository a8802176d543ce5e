import { Prng } from '../../src/base/prng.js';
import { zipfian } from '../zipfian.js';

/** Bytes of every key: those that the figures of others were made with. */
const keyBytes = 32;
/** What a new cluster expects keys to begin with, each as often, when it makes its shards. */
const characters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const beginnings = characters.length ** 2;
/** A prime, so that keys in a row begin differently, until all pairs of characters have come. */
const step = 1237;

/** Key `n`: they begin with all pairs of characters in turn, so that every shard gets as many. */
export function keyOf(n: number): Uint8Array {
  const key = Buffer.alloc(keyBytes, '.');
  const beginning = (n * step) % beginnings;
  key[0] = characters.charCodeAt(Math.floor(beginning / characters.length));
  key[1] = characters.charCodeAt(beginning % characters.length);
  key.write(String(n), 2, 'latin1');
  return key;
}

/** Keys 0 … `count` - 1 in an order that looks random; each comes once in `count`. `count` is no multiple of 7919. */
export function spreadKey(n: number, count: number): Uint8Array {
  return keyOf((n * 7919) % count);
}

/** Draws keys of which few come often. The popular ones are spread over the shards. */
export function popularKeys(count: number, seed: number): () => Uint8Array {
  const draw = zipfian(count, new Prng(seed));
  return () => keyOf(draw());
}

const poolBytes = 1024 * 1024;
const pool = new Prng(poolBytes).bytes(poolBytes);

/** The `n`-th value of this length, at most 512 KiB: bytes that do not compress, different from those beside it. A view. */
export function valueOf(bytes: number, n = 0): Uint8Array {
  const from = (n * 7919) % (poolBytes / 2);
  return pool.subarray(from, from + bytes);
}
