import { describe, expect, it } from 'vitest';
import { compareBytes, utf8 } from '../../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { compareEntries, type Kind } from '../../../src/lsm/entry.js';
import { Memtable } from '../../../src/lsm/memtable/memtable.js';
import { MemtableIterator } from '../../../src/lsm/memtable/memtable-iterator.js';
import { TreeBatch } from '../../../src/lsm/tree-batch.js';
import { show, text } from '../harness.js';

const everything = { lower: utf8(''), upper: undefined };

interface Written {
  readonly key: Uint8Array;
  readonly version: number;
  readonly kind: Kind;
  readonly value: Uint8Array;
}

function collect(iterator: MemtableIterator): Written[] {
  const entries: Written[] = [];
  for (iterator.start(); iterator.valid; iterator.advance()) {
    const { key, version, kind, value } = iterator;
    entries.push({ key, version, kind, value });
  }
  return entries;
}

/** In the order of entries; of equal ones the one that was written later first. */
function sorted(written: readonly Written[]): Written[] {
  return written
    .map((entry, i) => ({ entry, i }))
    .sort((a, b) => compareEntries(a.entry.key, a.entry.version, b.entry.key, b.entry.version) || b.i - a.i)
    .map(({ entry }) => entry);
}

describe('Memtable', () => {
  it.each([1, 2, 3])('has all entries in order, both ways and within bounds, seed %i', (seed) => {
    const random = new Prng(seed);
    const memtable = new Memtable(LogIndex(0));
    const written: Written[] = [];
    for (let index = 1; index <= 800; index++) {
      const entry: Written = {
        key: random.bytes(random.int(0, 3)).map((byte) => byte & 0x83),
        version: random.int(1, 50),
        kind: random.chance(0.2) ? 'delete' : 'put',
        value: new Uint8Array(0),
      };
      written.push(entry);
      const batch = new TreeBatch();
      if (entry.kind === 'put') batch.put(entry.key, Timestamp(entry.version), entry.value);
      else batch.delete(entry.key, Timestamp(entry.version));
      memtable.write(batch, LogIndex(index));
    }
    expect(memtable.count).toBe(800);
    const expected = sorted(written);
    expect(show(collect(new MemtableIterator(memtable, everything, false)))).toBe(show(expected));
    expect(show(collect(new MemtableIterator(memtable, everything, true)))).toBe(show([...expected].reverse()));
    for (let i = 0; i < 30; i++) {
      const [lower, upper] = [random.bytes(2), random.bytes(1)].sort(compareBytes);
      const within = expected.filter(({ key }) => compareBytes(key, lower) >= 0 && compareBytes(key, upper) < 0);
      expect(show(collect(new MemtableIterator(memtable, { lower, upper }, false)))).toBe(show(within));
      expect(show(collect(new MemtableIterator(memtable, { lower, upper }, true)))).toBe(show(within.reverse()));
      const { key } = random.pick(written);
      const at = Timestamp(random.int(0, 60));
      const newest = expected.find((entry) => compareBytes(entry.key, key) === 0 && entry.version <= at);
      expect(memtable.get(key, at)?.version).toBe(newest?.version);
      expect(memtable.get(key, at)?.kind).toBe(newest?.kind);
    }
  });

  it('shows an iterator nothing that is written after its making, in either direction', () => {
    const memtable = new Memtable(LogIndex(0));
    const write = (index: number, key: string, version: number, value: string): void =>
      memtable.write(new TreeBatch().put(utf8(key), Timestamp(version), utf8(value)), LogIndex(index));
    write(1, 'b', 5, 'old');
    write(2, 'd', 5, 'old');
    const iterators = [false, true].map((reverse) => new MemtableIterator(memtable, everything, reverse));
    for (const iterator of iterators) iterator.start();
    write(3, 'a', 1, 'new');
    write(4, 'b', 5, 'new');
    write(5, 'b', 9, 'new');
    write(6, 'c', 1, 'new');
    write(7, 'd', 5, 'new');
    write(8, 'e', 1, 'new');
    for (const iterator of iterators) {
      const seen: string[] = [];
      for (; iterator.valid; iterator.advance()) seen.push(`${text(iterator.key)} ${text(iterator.value)}`);
      expect(seen.sort()).toEqual(['b old', 'd old']);
    }
    expect(text(memtable.get(utf8('b'), Timestamp(5))?.value ?? utf8(''))).toBe('new');
  });

  it('copies what it is given, large values too', () => {
    const memtable = new Memtable(LogIndex(0));
    const value = new Uint8Array(3_000_000).fill(7);
    const key = utf8('key');
    memtable.write(new TreeBatch().put(key, Timestamp(1), value), LogIndex(1));
    value.fill(0);
    key.fill(0);
    expect(memtable.get(utf8('key'), Timestamp(1))?.value.every((byte) => byte === 7)).toBe(true);
    expect(memtable.bytes).toBeGreaterThan(3_000_000);
  });

  it('refuses an applied index that does not grow', () => {
    const memtable = new Memtable(LogIndex(7));
    expect(memtable.hasBatches).toBe(false);
    expect(() => memtable.write(new TreeBatch(), LogIndex(7))).toThrow('applied index 7 after 7');
    memtable.write(new TreeBatch(), LogIndex(8));
    expect(memtable.hasBatches).toBe(true);
    expect(memtable.appliedIndex).toBe(8);
  });
});
