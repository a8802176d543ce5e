import { describe, expect, it } from 'vitest';
import { compareBytes, concatBytes } from '../../../src/base/bytes.js';
import { DecodeError } from '../../../src/base/coding.js';
import { Prng } from '../../../src/base/prng.js';
import { byteOfKind, compareEntries } from '../../../src/lsm/entry.js';
import { BlockCursor } from '../../../src/lsm/sstable/block-cursor.js';
import { BlockSearch } from '../../../src/lsm/sstable/block-search.js';
import { BlockWriter } from '../../../src/lsm/sstable/block-writer.js';

/** Few different bytes and all lengths, so that keys are prefixes of each other and share all numbers of bytes. */
function randomKey(random: Prng): Uint8Array {
  return Uint8Array.from({ length: random.int(0, 6) }, () => random.pick([0, 97, 98, 255]));
}

function randomBlock(random: Prng): { block: Uint8Array; keys: Uint8Array[] } {
  const writer = new BlockWriter();
  const entries = Array.from({ length: random.int(1, 120) }, () => ({
    key: randomKey(random),
    version: random.chance(0.1) ? random.int(1, Number.MAX_SAFE_INTEGER) : random.int(1, 4),
    kind: byteOfKind(random.pick(['put', 'delete'])),
    value: random.bytes(random.int(0, random.chance(0.1) ? 200 : 5)),
  })).sort((a, b) => compareEntries(a.key, a.version, b.key, b.version));
  for (const [i, { key, version, kind, value }] of entries.entries()) {
    if (i > 0 && entries[i - 1].version === version && compareBytes(entries[i - 1].key, key) === 0) continue;
    writer.add(key, version, kind, value);
  }
  return { block: writer.finish().slice(), keys: entries.map(({ key }) => key) };
}

function entryOf({ key, version, kind, value }: BlockCursor): unknown {
  return { key, version, kind, value };
}

describe('a search in a block', () => {
  it.each([1, 2, 3, 4, 5])('finds what a walk finds, and leads a cursor there, seed %i', (seed) => {
    const random = new Prng(seed);
    for (let round = 0; round < 60; round++) {
      const { block, keys } = randomBlock(random);
      const [walk, cursor] = [new BlockCursor(block), new BlockCursor(block)];
      for (let n = 0; n < 40; n++) {
        const key = random.chance(0.6) ? random.pick(keys) : randomKey(random);
        const version = random.pick([0, 1, 2, 3, 4, 5, Number.MAX_SAFE_INTEGER]);
        walk.toFirst();
        while (walk.valid && compareEntries(walk.key, walk.version, key, version) < 0) walk.next();
        cursor.seek(key, version);
        const search = new BlockSearch(block, key, version);
        expect([search.found, cursor.valid]).toEqual([walk.valid, walk.valid]);
        if (!walk.valid) continue;
        const isOfKey = compareBytes(walk.key, key) === 0;
        const { version: at, kind, value } = walk;
        expect(search).toMatchObject({ isOfKey, version: at, kind, value });
        // The next key is built over this one.
        for (let steps = 0; steps < 3 && walk.valid; steps++) {
          expect(entryOf(cursor)).toEqual(entryOf(walk));
          cursor.next();
          walk.next();
        }
        expect(cursor.valid).toBe(walk.valid);
      }
    }
  });

  it('ends, and with a typed error if not otherwise, whatever the bytes are', () => {
    const random = new Prng(9);
    let refused = 0;
    for (let round = 0; round < 3000; round++) {
      const { block, keys } = randomBlock(random);
      const damaged = random.chance(0.1) ? random.bytes(random.int(0, 40)) : concatBytes(block);
      for (let left = random.int(1, 3); left > 0 && damaged.length > 0; left--) {
        damaged[random.int(0, damaged.length - 1)] = random.int(0, 255);
      }
      try {
        void new BlockSearch(damaged, random.pick(keys), random.int(0, 5));
      } catch (error) {
        refused++;
        expect(error).toBeInstanceOf(DecodeError);
      }
    }
    expect(refused).toBeGreaterThan(300);
  });
});
