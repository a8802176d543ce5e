/** A scan that jumps over what a deleted range hides does not jump too far. */
import { expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, put, scan, settled, treeDirectory, treeResources } from './harness.js';

/** Nothing is compacted. */
const lazy = { level0TablesCompact: 50, level0TablesStall: 50, blockBytes: 200, compressionLevelMin: 7 };
const eager = {
  level0TablesCompact: 1,
  sstableBytesTarget: 1000,
  levelBytesBase: 2000,
  levelBytesMultiplier: 2,
  blockBytes: 200,
  compressionLevelMin: 7,
};

/** `key-00000` and so on, all of version 1. */
function putMany(tree: Tree, count: number): void {
  for (let i = 0; i < count; i++) put(tree, `key-${String(i).padStart(5, '0')}`, 1, 'v'.repeat(20));
}

async function keysOf(tree: Tree, options: { reverse?: boolean } = {}): Promise<string> {
  return (await scan(tree, options)).map(({ key }) => key).join(' ');
}

it.each(['a memtable', 'one table', 'tables of a level'])(
  'finds what was written with the same version, behind all that is hidden in %s',
  async (place) => {
    const isMerged = place === 'tables of a level';
    await using tree = await Tree.create(treeDirectory, treeResources(newDisk()), isMerged ? eager : lazy);
    putMany(tree, 800);
    if (isMerged) await settled(tree);
    if (isMerged) putMany(tree, 800);
    // The first and the last of the range, each in the last place that a scan comes to.
    for (const key of ['key!', 'key-99999']) put(tree, key, 10, 'seen');
    if (place !== 'a memtable') await settled(tree);
    const tables = Math.max(...tree.stats().levels.map((level) => level.tables));
    expect(Math.min(tables, 3)).toBe({ 'a memtable': 0, 'one table': 1 }[place] ?? 3);
    const batch = new TreeBatch().deleteRange(utf8('key'), utf8('key~'), Timestamp(10));
    tree.write(batch, LogIndex(tree.appliedIndex + 1));
    expect(await keysOf(tree)).toBe('key! key-99999');
    expect(await keysOf(tree, { reverse: true })).toBe('key-99999 key!');
  },
);
