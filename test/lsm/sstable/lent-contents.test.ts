import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../src/base/bytes.js';
import { DecodeError } from '../../../src/base/coding.js';
import { Prng } from '../../../src/base/prng.js';
import { BlockSearch } from '../../../src/lsm/sstable/block-search.js';
import { BlockWriter } from '../../../src/lsm/sstable/block-writer.js';
import { compressBlock, decompressBlock } from '../../../src/lsm/sstable/compression.js';
import { isLent, lentBytes } from '../../../src/lsm/sstable/lent-bytes.js';
import { LentContents } from '../../../src/lsm/sstable/lent-contents.js';

/** As a block that was read just now. */
function lend(stored: Uint8Array): Uint8Array {
  const bytes = lentBytes(stored.length);
  bytes.set(stored);
  return bytes;
}

/** Stored in Snappy's format, whatever it gains. */
function stored(contents: Uint8Array): Uint8Array | undefined {
  const { bytes, type } = compressBlock(contents, 'snappy');
  return type === 0 ? undefined : concatBytes(bytes, Uint8Array.of(type));
}

/** Runs of one byte and of short parts, parts from far before, and noise of all lengths. */
function randomContents(random: Prng): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let left = random.int(1, 30); left > 0 && parts.length < 300; left--) {
    const part = random.chance(0.5) && parts.length > 0 ? random.pick(parts) : random.bytes(random.int(1, 300));
    const repeated = part.subarray(0, random.chance(0.4) ? random.int(1, 5) : part.length);
    for (let times = random.chance(0.3) ? random.int(2, 100) : 1; times > 0; times--) parts.push(repeated);
  }
  return concatBytes(...parts).subarray(0, 30_000);
}

function decompressed(block: Uint8Array): Uint8Array | undefined {
  return LentContents.of(lend(block))?.all();
}

describe('contents of a block in lent memory', () => {
  it.each([1, 2, 3, 4])('are what the package makes of it, part by part, seed %i', (seed) => {
    const random = new Prng(seed);
    let compressed = 0;
    for (let round = 0; round < 30; round++) {
      const whole = randomContents(random);
      const block = stored(whole);
      if (block === undefined) continue;
      compressed++;
      const contents = LentContents.of(lend(block));
      if (contents === undefined) throw new Error('it is lent, and small');
      expect(contents.length).toBe(whole.length);
      for (let to = 0; to < whole.length;) {
        to = Math.min(whole.length, to + random.int(100, 6000));
        contents.decompress(to);
        expect(contents.decompressed).toBeGreaterThanOrEqual(to);
        const there = contents.bytes.subarray(0, contents.decompressed);
        expect(Buffer.compare(there, whole.subarray(0, contents.decompressed))).toBe(0);
      }
      const all = contents.all();
      expect(Buffer.compare(all, whole)).toBe(0);
      expect([isLent(all), isLent(contents.bytes)]).toEqual([false, true]);
    }
    expect(compressed).toBeGreaterThan(10);
  });

  it('are known in every form of an element', () => {
    const literal = (...bytes: number[]): number[] => [(bytes.length - 1) << 2, ...bytes];
    // The same 4 bytes again by a distance of one, two and four bytes; a literal whose length has a byte of its own.
    const forms = [
      [1, 4],
      [(3 << 2) | 2, 4, 0],
      [(3 << 2) | 3, 4, 0, 0, 0],
      [60 << 2, 3, 1, 2, 3, 4],
    ];
    for (const form of forms) {
      const block = Uint8Array.from([8, ...literal(1, 2, 3, 4), ...form, 1]);
      expect(decompressed(block)).toEqual(Uint8Array.of(1, 2, 3, 4, 1, 2, 3, 4));
      expect(decompressBlock(block)).toEqual(Uint8Array.of(1, 2, 3, 4, 1, 2, 3, 4));
    }
  });

  it.each([
    ['a distance of nothing', [8, 12, 1, 2, 3, 4, 1, 0]],
    ['a distance beyond the start', [8, 12, 1, 2, 3, 4, 1, 5]],
    ['a distance beyond all memory', [8, 12, 1, 2, 3, 4, (3 << 2) | 3, 4, 0, 0, 0xff]],
    ['a literal that ends beyond the block', [8, 12, 1, 2, 3, 4, 12, 1, 2]],
    ['a literal of 4 GiB', [8, 63 << 2, 0xff, 0xff, 0xff, 0xff, 1, 2]],
    ['more than it says', [6, 12, 1, 2, 3, 4, 1, 4]],
    ['less than it says', [9, 12, 1, 2, 3, 4, 1, 4]],
    ['an element too many', [8, 12, 1, 2, 3, 4, 1, 4, 0, 1]],
  ])('are refused with %s', (_, bytes) => {
    const block = Uint8Array.from([...bytes, 1]);
    expect(() => decompressed(block)).toThrow(DecodeError);
    expect(() => decompressBlock(block)).toThrow(DecodeError);
  });

  it('are those of the package or refused, whatever the bytes are', () => {
    const random = new Prng(5);
    const block = stored(randomContents(random)) ?? new Uint8Array(0);
    let refused = 0;
    for (let round = 0; round < 600; round++) {
      const damaged = concatBytes(block);
      damaged[random.int(0, damaged.length - 2)] = random.int(0, 255);
      const attempt = (decompress: (bytes: Uint8Array) => Uint8Array | undefined): unknown => {
        try {
          return decompress(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          return 'refused';
        }
      };
      const [ours, theirs] = [attempt(decompressed), attempt(decompressBlock)];
      if (theirs === 'refused') refused++;
      expect(ours === theirs || Buffer.compare(ours as Uint8Array, theirs as Uint8Array) === 0).toBe(true);
    }
    expect(refused).toBeGreaterThan(20);
  });

  it('are left to others where the block is not compressed, or not lent', () => {
    expect(LentContents.of(lend(Uint8Array.of(1, 2, 3, 0)))).toBeUndefined();
    expect(LentContents.of(Uint8Array.of(4, 12, 1, 2, 3, 4, 1))).toBeUndefined();
    const large = stored(new Uint8Array(70_000)) ?? new Uint8Array(0);
    expect(LentContents.of(lend(large))).toBeUndefined();
  });

  it.each([1, 2, 3])('are searched as all of the block is, seed %i', (seed) => {
    const random = new Prng(seed);
    for (let round = 0; round < 20; round++) {
      const writer = new BlockWriter();
      const count = random.int(1, 400);
      const value = random.bytes(random.int(0, 100));
      for (let n = 0; n < count; n++) writer.add(Uint8Array.of(7, 7, 7, n >> 6, n & 63), 10 + (n % 5), 1, value);
      const block = writer.finish().slice();
      const small = stored(block);
      if (small === undefined) continue;
      for (let time = 0; time < 20; time++) {
        const n = random.int(0, count - 1);
        const key = Uint8Array.of(7, 7, 7, n >> 6, n & 63).subarray(0, random.pick([0, 4, 5, 5, 5]));
        const version = random.int(n === count - 1 ? 10 + (n % 5) : 8, 16);
        const contents = LentContents.of(lend(small));
        if (contents === undefined) throw new Error('it is lent, and small');
        const whole = new BlockSearch(block, key, version);
        const {
          found,
          isOfKey,
          offset,
          shared,
          version: at,
          kind,
          value: got,
        } = new BlockSearch(contents, key, version);
        expect({ found, isOfKey, offset, shared, version: at, kind }).toEqual({
          found: whole.found,
          isOfKey: whole.isOfKey,
          offset: whole.offset,
          shared: whole.shared,
          version: whole.version,
          kind: whole.kind,
        });
        expect(Buffer.compare(got, whole.value)).toBe(0);
      }
    }
  });
});
