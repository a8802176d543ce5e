/** Ways to compare keys: `Buffer.compare`, a loop over bytes, and a cached head of four bytes in front of the loop. */
import { compareBytes } from '../../src/base/bytes.js';
import { Prng } from '../../src/base/prng.js';
import { headOf } from '../../src/lsm/memtable/entry-arena.js';
import type { Row } from '../measure.js';
import { cpuMicrosPerCall } from './cpu-time.js';

const keyCount = 1 << 12;

/** Keys of `length` bytes that share the first `shared` ones; every comparison is of two different ones. */
export function keys({ quick, progress }: { quick: boolean; progress: (text: string) => void }): Promise<Row[]> {
  const rows: Row[] = [];
  const calls = quick ? 1_000_000 : 10_000_000;
  for (const [length, shared] of [
    [16, 0],
    [16, 8],
    [16, 14],
    [64, 0],
    [64, 60],
  ] as const) {
    progress(`${length} B, ${shared} shared`);
    const random = new Prng(1);
    const made = Array.from({ length: keyCount }, () => {
      const key = random.bytes(length);
      key.fill(7, 0, shared);
      return key;
    });
    // What the keys of a node share is known, so that its heads follow it.
    const heads = Int32Array.from(made, (key) => headOf(key, shared, key.length));
    const ways: readonly (readonly [string, (a: number, b: number) => number])[] = [
      ['Buffer.compare', (a, b) => Buffer.compare(made[a], made[b])],
      ['loop over bytes', (a, b) => compareBytes(made[a], made[b])],
      ['cached head, then loop', (a, b) => heads[a] - heads[b] || compareBytes(made[a], made[b])],
    ];
    for (const [name, compare] of ways) {
      let sum = 0;
      const micros = cpuMicrosPerCall(calls, (n) => {
        sum += compare(n & (keyCount - 1), (n * 7919 + 1) & (keyCount - 1)) > 0 ? 1 : 0;
      });
      if (sum === 0) throw new Error('the comparisons were left out');
      rows.push({
        name: `${name}, keys of ${length} B that share ${shared}`,
        unit: 'ns of CPU',
        ours: Math.round(micros * 1e4) / 10,
      });
    }
  }
  return Promise.resolve(rows);
}
