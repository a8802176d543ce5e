import { describe, expect, it } from 'vitest';
import { compareBytes, utf8 } from '../../../src/base/bytes.js';
import { Prng } from '../../../src/base/prng.js';
import { compareEntries } from '../../../src/lsm/entry.js';
import { EntryArena, headOf } from '../../../src/lsm/memtable/entry-arena.js';
import { EntryIndex, noPlace } from '../../../src/lsm/memtable/entry-index.js';

interface Written {
  readonly key: Uint8Array;
  readonly version: number;
  readonly reference: number;
}

/** Keys that make nodes share long prefixes, give them up again, end inside of what others share, or tie in their heads. */
const shapes: Readonly<Record<string, (random: Prng, n: number) => Uint8Array>> = {
  'random bytes': (random) => random.bytes(random.int(0, 12)),
  'few keys with many versions': (random) => utf8(`key/${random.int(0, 40)}`),
  'long shared prefixes': (random) => utf8(`tenant/${random.int(0, 3)}/user/${random.int(0, 1e6)}`),
  'prefixes of each other': (random) => new Uint8Array(random.int(0, 300)).fill(random.int(0, 1)),
  ascending: (_, n) => utf8(`event/${String(n).padStart(9, '0')}`),
  descending: (_, n) => utf8(`event/${String(1e8 - n).padStart(9, '0')}`),
  'high bytes': (random) => random.bytes(5).map((byte) => byte | 0x70),
};

function build(seed: number, count: number, key: (random: Prng, n: number) => Uint8Array) {
  const random = new Prng(seed);
  const arena = new EntryArena();
  const index = new EntryIndex(arena);
  const written: Written[] = [];
  for (let n = 0; n < count; n++) {
    const made = key(random, n);
    const version = random.int(1, 300);
    const reference = arena.add(made, version, 'put', utf8(String(n)));
    index.insert(reference, made, version);
    written.push({ key: made, version, reference });
  }
  const order = (a: Written, b: Written): number =>
    compareEntries(a.key, a.version, b.key, b.version) || b.reference - a.reference;
  return { random, arena, index, written, sorted: [...written].sort(order) };
}

describe('EntryIndex', () => {
  it.each(Object.entries(shapes))('keeps the order of entries: %s', (_, key) => {
    const { random, index, arena, written, sorted } = build(1, 15_000, key);
    const references = sorted.map(({ reference }) => reference);
    expect([...index.references()]).toEqual(references);

    const forward: number[] = [];
    for (let place = index.first(); place !== noPlace; place = index.after(place)) forward.push(index.at(place));
    expect(forward).toEqual(references);
    const reverse: number[] = [];
    for (let place = index.last(); place !== noPlace; place = index.before(place)) reverse.push(index.at(place));
    expect(reverse).toEqual(references.toReversed());

    for (let i = 0; i < 1000; i++) {
      const target = random.chance(0.5) ? random.pick(written).key : key(random, random.int(0, 20_000));
      const version = random.int(0, 301);
      let at = sorted.findIndex((entry) => compareEntries(entry.key, entry.version, target, version) >= 0);
      if (at < 0) at = sorted.length;
      const found = index.seek(target, version);
      expect(found === noPlace ? undefined : index.at(found)).toBe(references[at]);
      const before = index.seekBefore(target, version);
      expect(before === noPlace ? undefined : index.at(before)).toBe(references[at - 1]);
      const { reference } = random.pick(written);
      expect(index.at(index.placeOf(reference))).toBe(reference);
      expect(arena.hasKey(reference, arena.keyOf(reference))).toBe(true);
    }
  });

  it('has no place when it is empty', () => {
    const index = new EntryIndex(new EntryArena());
    expect([index.first(), index.last(), index.seek(utf8(''), 1), index.seekBefore(utf8('x'), 1)]).toEqual(
      Array.from({ length: 4 }, () => noPlace),
    );
    expect([...index.references()]).toEqual([]);
  });
});

describe('EntryArena', () => {
  it('gives another thread the same entries by its buffers', () => {
    const { arena, written } = build(2, 3000, (random) => random.bytes(random.int(0, 2000)));
    expect(arena.buffers.length).toBeGreaterThan(3);
    const other = EntryArena.of(structuredClone(arena.buffers));
    expect(other.memoryBytes).toBe(arena.memoryBytes);
    for (const { key, version, reference } of written) {
      expect(compareBytes(other.keyOf(reference), key)).toBe(0);
      expect(other.found(reference)).toEqual(arena.found(reference));
      expect(other.versionOf(reference)).toBe(version);
    }
  });
});

describe('headOf', () => {
  it('orders as the bytes do', () => {
    const random = new Prng(3);
    for (let i = 0; i < 5000; i++) {
      const [a, b] = [random.bytes(random.int(0, 6)), random.bytes(random.int(0, 6))];
      const difference = headOf(a, 0, a.length) - headOf(b, 0, b.length);
      if (difference !== 0) expect(Math.sign(difference)).toBe(Math.sign(compareBytes(a, b)));
      else expect(compareBytes(a.subarray(0, 4), b.subarray(0, 4)) * (a.length - b.length)).toBeGreaterThanOrEqual(0);
    }
  });
});
