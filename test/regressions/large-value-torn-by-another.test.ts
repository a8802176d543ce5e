/**
 * A flush moved a large value into memory that everybody borrows, and then waited for the value file to be there:
 * whatever was flushed or written meanwhile was in that memory when it went on. Found by seed 700041 of the simulator of
 * the engine.
 */
import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, treeResources } from '../lsm/harness.js';

const names = ['a', 'b'];

test('large values of two trees that are flushed at the same time stay as they are', async () => {
  const disk = newDisk();
  await disk.makeDirectory('node');
  const options = { largeValueBytesMin: 1000 };
  const trees = await Promise.all(names.map((name) => Tree.create(`node/${name}`, treeResources(disk), options)));
  for (const [i, tree] of trees.entries()) {
    tree.write(new TreeBatch().put(utf8('k'), Timestamp(1), utf8(names[i].repeat(2000))), LogIndex(1));
  }
  await Promise.all(trees.map((tree) => tree.flush()));
  for (const [i, tree] of trees.entries()) {
    const found = await tree.get(utf8('k'), Timestamp(1));
    expect(Buffer.from(found?.value ?? []).toString()).toBe(names[i].repeat(2000));
    await tree.close();
  }
});
