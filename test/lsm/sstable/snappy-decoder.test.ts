/** Blocks decompressed in lent memory, against the package that compresses them. */
import { uncompressSync } from 'snappy';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../src/base/bytes.js';
import { DecodeError } from '../../../src/base/coding.js';
import { Prng } from '../../../src/base/prng.js';
import { compressBlock, decompressBlock, lentContents } from '../../../src/lsm/sstable/compression.js';
import { isLent, lentBytes } from '../../../src/lsm/sstable/lent-bytes.js';

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

function decompressed(block: Uint8Array): Uint8Array {
  return lentContents(lend(block));
}

function attempt(decompress: () => Uint8Array, refusal: new (...args: never[]) => Error): Uint8Array | undefined {
  try {
    return decompress();
  } catch (error) {
    expect(error).toBeInstanceOf(refusal);
    return undefined;
  }
}

function byPackage(block: Uint8Array): Uint8Array {
  return uncompressSync(block.subarray(0, -1), { asBuffer: true, copyOutputData: true }) as Buffer;
}

describe('contents of a block in lent memory', () => {
  it.each([1, 2, 3, 4])('are what was compressed, seed %i', (seed) => {
    const random = new Prng(seed);
    let compressed = 0;
    for (let round = 0; round < 50; round++) {
      const contents = randomContents(random);
      const block = stored(contents);
      if (block === undefined) continue;
      compressed++;
      const [lent, own] = [decompressed(block), decompressBlock(block)];
      expect(Buffer.compare(lent, contents)).toBe(0);
      expect(Buffer.compare(own, contents)).toBe(0);
      expect([isLent(lent), isLent(own)]).toEqual([true, false]);
    }
    expect(compressed).toBeGreaterThan(20);
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
    ['a literal of nothing, modulo 4 GiB', [4, 63 << 2, 0xff, 0xff, 0xff, 0xff, 12, 1, 2, 3, 4]],
    ['an element that ends in its midst', [8, 12, 1, 2, 3, 4, (3 << 2) | 2, 4]],
  ])('are refused with %s', (_, bytes) => {
    const block = Uint8Array.from([...bytes, 1]);
    expect(() => decompressed(block)).toThrow(DecodeError);
    expect(() => decompressBlock(block)).toThrow(DecodeError);
  });

  it('are those of the package or refused, whatever the bytes are', () => {
    const random = new Prng(5);
    const block = stored(randomContents(random)) ?? new Uint8Array(0);
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const damaged = concatBytes(block);
      damaged[random.int(0, damaged.length - 2)] = random.int(0, 255);
      const ours = attempt(() => decompressed(damaged), DecodeError);
      const theirs = attempt(() => byPackage(damaged), Error);
      if (theirs === undefined) refused++;
      expect(ours === undefined, `${round}`).toBe(theirs === undefined);
      if (ours !== undefined && theirs !== undefined) expect(Buffer.compare(ours, theirs)).toBe(0);
    }
    expect(refused).toBeGreaterThan(20);
  });

  it('are not lent where the block is too large, and a view of it where it is not compressed', () => {
    for (const [bytes, isInLentMemory] of [
      [65_536, true],
      [65_537, false],
    ] as const) {
      const contents = decompressed(stored(new Uint8Array(bytes)) ?? new Uint8Array(0));
      expect([contents.length, isLent(contents), contents.some((byte) => byte !== 0)]).toEqual([
        bytes,
        isInLentMemory,
        false,
      ]);
    }
    const plain = Uint8Array.of(1, 2, 3, 0);
    expect(lentContents(plain)).toEqual(Uint8Array.of(1, 2, 3));
    expect(lentContents(plain).buffer).toBe(plain.buffer);
  });

  it('fill the lent memory to its end, from noise of nearly as much', () => {
    const random = new Prng(9);
    // What gains little more than an eighth, and is as long as can be lent.
    const contents = concatBytes(new Uint8Array(11_536), random.bytes(54_000));
    const block = stored(contents);
    if (block === undefined) throw new Error('it is compressed');
    expect(Buffer.compare(decompressed(block), contents)).toBe(0);
  });
});
