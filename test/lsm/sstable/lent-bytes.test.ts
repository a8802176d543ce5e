import { expect, it } from 'vitest';
import { copyOfLent, isLent, lentBytes } from '../../../src/lsm/sstable/lent-bytes.js';
import { ownedValue } from '../../../src/lsm/sstable/owned-value.js';

function lend(length: number, content: number): Uint8Array {
  return lentBytes(length).fill(content);
}

it('is lent up to 64 KiB, and what is larger is not', () => {
  expect([0, 1, 65_536, 65_537].map((length) => isLent(lentBytes(length)))).toEqual([true, true, true, false]);
  expect([0, 1, 65_536, 65_537].map((length) => lentBytes(length).length)).toEqual([0, 1, 65_536, 65_537]);
});

it('is copied for whoever keeps it, to memory of exactly its length', () => {
  const own = new Uint8Array(10);
  expect(copyOfLent(own) === own).toBe(true);
  for (const length of [0, 10, 64, 65, 1024, 1025, 65_536]) {
    const copy = copyOfLent(lend(length, 7));
    lend(length, 8);
    expect(copy).toEqual(new Uint8Array(length).fill(7));
    expect([isLent(copy), copy.buffer.byteLength]).toEqual([false, length]);
  }
});

it('values out of it are their own, and the smallest and the large ones keep nothing else alive', () => {
  const own = new Uint8Array(10);
  expect(ownedValue(own) === own).toBe(true);
  const lengths = [0, 1, 64, 65, 300, 1024, 1025, 5000];
  const values = [1, 2, 3, 4].flatMap((content) =>
    lengths.map((length) => ({ length, content, value: ownedValue(lend(length, content)) })),
  );
  lend(5000, 99);
  for (const { length, content, value } of values) {
    expect(value).toEqual(new Uint8Array(length).fill(content));
    const kept = value.buffer.byteLength;
    if (length > 64 && length <= 1024) expect(kept).toBe(4096);
    else expect(kept).toBe(length);
  }
  const buffers = new Set(values.map(({ value }) => value.buffer));
  expect(buffers.size).toBeLessThan(values.length);
});
