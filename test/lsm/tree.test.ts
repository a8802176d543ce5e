import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, put, remove, scan, settled, treeDirectory, treeResources } from './harness.js';

describe('Tree', () => {
  it('smoke', async () => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk), {
      memtableBytesMax: 2000,
      sstableBytesTarget: 2000,
      blockBytes: 256,
      levelBytesBase: 4000,
    });
    for (let i = 0; i < 2000; i++) {
      if (i % 7 === 0) remove(tree, `key${i % 100}`, i + 1);
      else put(tree, `key${i % 100}`, i + 1, `value${i}`);
      await tree.writeStall();
    }
    const before = await scan(tree);
    await settled(tree);
    console.log(tree.stats(), before.length);
    expect(await scan(tree)).toEqual(before);
    expect((await scan(tree, { reverse: true })).reverse()).toEqual(before);
    await tree.verify();
    await tree.close();
    const again = await Tree.open(treeDirectory, treeResources(disk));
    expect(await scan(again)).toEqual(before);
    expect(await again.get(utf8('key1'), Timestamp(1000))).toBeDefined();
    await again.close();
  });
});
