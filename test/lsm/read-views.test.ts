import { expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { silentLogger, type LogFields, type Logger } from '../../src/env/logger.js';
import { BatchTooLargeError, MemtableBudget } from '../../src/lsm/memtable/memtable-budget.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { ManualClock, newDisk, put, settled, treeDirectory, treeResources } from './harness.js';

const everything = { lower: utf8(''), upper: undefined, at: timestampMax, reverse: false };

it('metrics tell what open iterators hold, and the log tells of one that is open for long', async () => {
  const clock = new ManualClock();
  const warnings: LogFields[] = [];
  const logger: Logger = { ...silentLogger, warn: (_message, fields = {}) => void warnings.push(fields) };
  const resources = treeResources(newDisk(), { clock, logger });
  await using tree = await Tree.create(treeDirectory, resources, { level0TablesCompact: 2 });
  const free = { open: 0, oldestMs: 0, memtableBytes: 0, tableBytes: 0 };
  expect(tree.metrics().views).toEqual(free);
  put(tree, 'a', 1, 'x'.repeat(2000));
  put(tree, 'c', 1, 'x');
  await tree.flush();
  put(tree, 'b', 2, 'x'.repeat(2000));
  const iterators = [tree.openIterator(everything), tree.openIterator(everything)];
  // Until it is flushed, the memtable is the tree's.
  expect(tree.metrics().views).toEqual({ ...free, open: 2 });
  const tableBytes = tree.stats().bytes;
  await tree.flush();
  await settled(tree);
  expect(tree.stats().compactions).toBe(1);
  clock.advance(60_000);
  const { memtableBytes, ...held } = tree.metrics().views;
  expect(held).toEqual({ open: 2, oldestMs: 60_000, tableBytes });
  expect(memtableBytes).toBeGreaterThan(2000);

  for (let time = 0; time < 3; time++) {
    clock.advance(3 * 60_000);
    put(tree, 'c', tree.appliedIndex + 10, 'value');
    await tree.flush();
    expect(warnings).toHaveLength(time < 1 ? 0 : 1);
  }
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatchObject({ directory: treeDirectory, open: 2, oldestMs: 7 * 60_000, tableBytes });
  for (const iterator of iterators) iterator.close();
  expect(tree.metrics().views).toEqual(free);
});

it('a batch that is over the budget for one write is refused, and nothing is written', async () => {
  const memtableBudget = new MemtableBudget({ bytesMax: 64 << 10, writeBytesMax: 16 << 10 });
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk(), { memtableBudget }));
  const large = new TreeBatch();
  for (let i = 0; i < 4; i++) large.put(utf8(`k${i}`), Timestamp(1), new Uint8Array(4 << 10));
  expect(() => tree.write(large, LogIndex(1))).toThrow(BatchTooLargeError);
  expect(() => tree.write(large, LogIndex(1))).toThrow('writeBytesMax, 16384 bytes');
  const many = new TreeBatch();
  for (let i = 0; i < 1000; i++) many.delete(utf8('k'), Timestamp(i + 1));
  expect(() => tree.write(many, LogIndex(1))).toThrow(BatchTooLargeError);
  expect([tree.appliedIndex, tree.metrics().writes.bytes]).toEqual([0, 0]);
  expect(tree.get(utf8('k'), timestampMax)).toBeUndefined();
});
