import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import type { Found } from '../../src/lsm/entry.js';
import { RowCache } from '../../src/lsm/row-cache.js';
import { bloomHash } from '../../src/lsm/sstable/bloom-filter.js';

function row(version: number, bytes = 100): Found {
  return { version: Timestamp(version), kind: 'put', value: new Uint8Array(bytes).fill(version) };
}

function keysOfOneHash(): readonly [Uint8Array, Uint8Array] {
  const keys = new Map<number, Uint8Array>();
  for (let n = 1e6; ; n++) {
    const key = utf8(String(n));
    const other = keys.get(bloomHash(key));
    if (other !== undefined) return [other, key];
    keys.set(bloomHash(key), key);
  }
}

describe('RowCache', () => {
  it('answers with the newest version to those who may see it', () => {
    const rows = new RowCache(10_000).partition();
    rows.insert(utf8('a'), row(7));
    expect(rows.get(utf8('a'), 7)).toMatchObject(row(7));
    expect(rows.get(utf8('a'), 6)).toBeUndefined();
    expect(rows.get(utf8('b'), 7)).toBeUndefined();
    rows.remove(utf8('a'));
    expect(rows.get(utf8('a'), 7)).toBeUndefined();
  });

  it('does not copy what it has no room for', () => {
    const cache = new RowCache(10_000);
    const rows = cache.partition();
    const uncopyable = { length: 2 ** 45 } as Uint8Array;
    rows.insert(utf8('a'), row(6));
    rows.insert(utf8('a'), { ...row(7), value: uncopyable });
    expect(rows.get(utf8('a'), 7)).toBeUndefined();
    expect(cache.bytes).toBe(0);
  });

  it('keeps copies', () => {
    const rows = new RowCache(10_000).partition();
    const found = row(7);
    const key = utf8('a');
    rows.insert(key, found);
    found.value.fill(0);
    key[0] = 98;
    expect(rows.get(utf8('a'), 7)).toMatchObject(row(7));
  });

  it('takes what is offered again soon, and nothing else', () => {
    const cache = new RowCache(1 << 24);
    const rows = cache.partition();
    for (let n = 0; n < 1000; n++) rows.offer(utf8(`once ${n}`), row(7));
    expect(cache.bytes).toBe(0);
    for (let n = 0; n < 1000; n++) rows.offer(utf8(`once ${n}`), row(7));
    expect(rows.size).toBeGreaterThan(950);
    // So many others that hardly any is remembered when its turn comes again.
    for (let n = 0; n < 300_000; n++) rows.offer(utf8(`other ${n % 150_000}`), row(7));
    expect(rows.size).toBeLessThan(1000 + 5000);
    const none = new RowCache(0).partition();
    for (let time = 0; time < 3; time++) none.offer(utf8('a'), row(7));
    expect(none.size).toBe(0);
  });

  it('tells all keys apart', () => {
    const rows = new RowCache(1 << 20).partition();
    for (let byte = 0; byte < 256; byte++) rows.insert(Uint8Array.of(byte), row(byte));
    for (let byte = 0; byte < 256; byte++) expect(rows.get(Uint8Array.of(byte), 300)?.version).toBe(byte);
  });

  it('tells keys of the same hash apart, and keeps the last of them', () => {
    const [one, other] = keysOfOneHash();
    const cache = new RowCache(10_000);
    const rows = cache.partition();
    rows.insert(one, row(1));
    expect(rows.get(other, 9)).toBeUndefined();
    const bytes = cache.bytes;
    rows.insert(other, row(2));
    expect(rows.get(one, 9)).toBeUndefined();
    expect(rows.get(other, 9)).toMatchObject(row(2));
    expect(cache.bytes).toBe(bytes);
  });

  it('keeps what is used and drops what is not', () => {
    const rows = new RowCache(10_000).partition();
    rows.insert(utf8('hot'), row(1));
    rows.insert(utf8('cold'), row(1));
    for (let n = 0; n < 500; n++) {
      rows.insert(utf8(`other ${n}`), row(1));
      expect(rows.get(utf8('hot'), 1)).toBeDefined();
    }
    expect(rows.get(utf8('cold'), 1)).toBeUndefined();
  });

  it.each([1, 2, 3, 4])(
    'has what was inserted last or nothing, within its bytes, over several trees, seed %i',
    (seed) => {
      const random = new Prng(seed);
      const bytesMax = random.pick([0, 300, 2000, 20_000]);
      const cache = new RowCache(bytesMax);
      const trees = Array.from({ length: 3 }, () => ({ rows: cache.partition(), newest: new Map<string, number>() }));
      let hits = 0;
      for (let version = 1; version < 4000; version++) {
        const { rows, newest } = random.pick(trees);
        const key = `k${random.int(0, 30)}`;
        if (random.chance(0.002)) {
          rows.clear();
          newest.clear();
        } else if (random.chance(0.2)) {
          rows.remove(utf8(key));
          newest.delete(key);
        } else if (random.chance(0.4)) {
          rows.insert(utf8(key), row(version, random.int(0, 600)));
          newest.set(key, version);
        } else {
          const found = rows.get(utf8(key), version);
          if (found !== undefined) {
            hits++;
            expect(found.version).toBe(newest.get(key));
          }
        }
        expect(cache.bytes).toBeLessThanOrEqual(bytesMax);
        expect(cache.bytes).toBeGreaterThanOrEqual(0);
      }
      expect(hits > 20).toBe(bytesMax >= 2000);
      for (const { rows } of trees) rows.clear();
      expect(cache.bytes).toBe(0);
    },
  );
});
