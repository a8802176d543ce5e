/**
 * The bounds of a checkpoint held no key, and lay within a deleted range: the manifest named a table for the part of the
 * range that was left, which was empty, and the checkpoint could not be opened. Found by seed 5013 of the simulator of
 * the engine.
 */
import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, scan, treeDirectory, treeResources } from '../lsm/harness.js';

test('a checkpoint whose bounds are equal is an empty tree, within a deleted range too', async () => {
  const disk = newDisk();
  await disk.makeDirectory('node');
  await using tree = await Tree.create(treeDirectory, treeResources(disk));
  tree.write(new TreeBatch().deleteRange(utf8('a'), utf8('z'), Timestamp(1)), LogIndex(1));
  await tree.checkpoint('node/part', { lower: utf8('m'), upper: utf8('m') });
  await using part = await Tree.open('node/part', treeResources(disk));
  expect(await scan(part)).toEqual([]);
  await part.verify();
});
