/**
 * A queue in a tree: insert at the end, delete at the front, scan from the start. What a scan passes over must not grow
 * with what was ever deleted.
 */
import { describe, expect, it } from 'vitest';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { utf8 } from '../../src/base/bytes.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, put, scan, settled, text, treeDirectory, treeResources } from './harness.js';

// Levels and level 0 are never full: only reads give cause to compact.
const options = {
  memtableBytesMax: 4000,
  blockBytes: 200,
  level0TablesCompact: 1000,
  level0TablesStall: 1000,
  levelBytesBase: 1 << 30,
};

const item = (i: number): string => `item-${String(i).padStart(6, '0')}`;

async function first(tree: Tree, reverse: boolean): Promise<string | undefined> {
  const iterator = tree.openIterator({ lower: utf8(''), upper: undefined, at: Timestamp(tree.appliedIndex), reverse });
  const record = await iterator.next();
  iterator.close();
  return record && text(record.key);
}

describe.each([false, true])('a queue, reverse %s', (reverse) => {
  const name = (i: number): string => item(reverse ? 900_000 - i : i);

  it('passes over each item once, however long looks at its front go on', async () => {
    await using tree = await Tree.create(treeDirectory, treeResources(newDisk()), options);
    for (let i = 0; i < 2000; i++) {
      const version = Timestamp(i + 1);
      const batch = new TreeBatch().put(utf8(name(i)), version, utf8('value'));
      if (i >= 20) batch.delete(utf8(name(i - 20)), version);
      await tree.writeStall();
      tree.write(batch, LogIndex(i + 1));
      const taken = i < 20 ? 0 : i - 19;
      if (i % 10 === 0) expect(await first(tree, reverse)).toBe(name(taken));
    }
    // Nothing may be dropped, so all of it is still there; and looks passed over 64 entries or so again and again.
    expect(tree.metrics().levels.reduce((sum, { tombstones }) => sum + tombstones, 0)).toBeGreaterThan(1800);
    expect(tree.metrics().reads.entriesSkipped).toBeLessThan(3 * 2000);
  });

  // Something that comes and goes before the front ends what looks have found to be empty.
  it('stays fast to read at its front also where each look starts anew', async () => {
    const beforeFront = utf8(reverse ? 'z' : 'a');
    await using tree = await Tree.create(treeDirectory, treeResources(newDisk()), options);
    const length = 20;
    let skippedMax = 0;
    for (let i = 0; i < 4000; i++) {
      const version = Timestamp(i + 1);
      const batch = new TreeBatch().put(utf8(name(i)), version, utf8('value'));
      if (i >= length) batch.delete(utf8(name(i - length)), version);
      batch.put(beforeFront, version, utf8('value')).delete(beforeFront, version);
      await tree.writeStall();
      tree.write(batch, LogIndex(i + 1));
      tree.setSafePoint(version);
      const before = tree.metrics().reads.entriesSkipped;
      expect(await first(tree, reverse)).toBe(name(Math.max(0, i - length + 1)));
      skippedMax = Math.max(skippedMax, tree.metrics().reads.entriesSkipped - before);
    }
    // A few memtables of some 60 deletions each; without care for reads it would be all 3980, twice.
    expect(skippedMax).toBeLessThan(700);
    await settled(tree);
    const lookAnew = (): Promise<string | undefined> => {
      const version = Timestamp(tree.appliedIndex + 1);
      const batch = new TreeBatch().put(beforeFront, version, utf8('value')).delete(beforeFront, version);
      tree.write(batch, LogIndex(version));
      return first(tree, reverse);
    };
    for (let i = 0; i < 5; i++) {
      await lookAnew();
      await settled(tree);
    }
    const { entriesSkipped } = tree.metrics().reads;
    expect(await lookAnew()).toBe(name(4000 - length));
    expect(tree.metrics().reads.entriesSkipped - entriesSkipped).toBeLessThan(60);
    expect(tree.metrics().levels.reduce((sum, { entries }) => sum + entries, 0)).toBeLessThan(300);
    expect(await scan(tree)).toHaveLength(length);
  });
});

it('lets what reads passed over go once the safe point allows it', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()), options);
  for (let i = 1; i <= 50; i++) put(tree, 'key', i, 'value');
  await tree.flush();
  const entries = (): number => tree.metrics().levels.reduce((sum, level) => sum + level.entries, 0);
  for (let i = 0; i < 3; i++) expect(await scan(tree)).toHaveLength(1);
  await settled(tree);
  expect([entries(), tree.stats().compactions]).toEqual([50, 0]);
  tree.setSafePoint(Timestamp(50));
  for (let i = 0; i < 3; i++) expect(await scan(tree)).toHaveLength(1);
  await settled(tree);
  expect([entries(), tree.stats().compactions]).toEqual([1, 1]);
});
