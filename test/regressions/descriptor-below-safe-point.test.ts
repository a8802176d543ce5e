/**
 * The descriptor of a shard was written with the next version after its last one, a small number, and the engine takes
 * nothing at or below its safe point: the first change of voters after the safe point had moved stopped every node that
 * applied it. 24 seeds of the simulator of clusters failed by it.
 */
import { expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Tree } from '../../src/lsm/tree.js';
import { userKey } from '../../src/mvcc/keyspace.js';
import { StateMachine } from '../../src/mvcc/state-machine.js';
import { encodeWriteBatch } from '../../src/mvcc/write-batch-writer.js';
import { newDisk, treeDirectory, treeResources } from '../lsm/harness.js';

test('a descriptor is written above the safe point of the engine', async () => {
  const disk = newDisk();
  await disk.makeDirectory('node');
  const options = { retention: 1000 };
  const tree = await Tree.create(treeDirectory, treeResources(disk));
  const machine = await StateMachine.create(tree, utf8('first'), options);
  const next = (): LogIndex => LogIndex(machine.appliedIndex + 1);
  for (const version of [1_000_000, 2_000_000, 3_000_000]) {
    const written = { key: userKey(utf8('key')), version: Timestamp(version), value: utf8('value') };
    machine.apply(next(), encodeWriteBatch([{ type: 'put', ...written }]));
    // A safe point is handed to the engine when it is durable, with the write after that.
    await tree.flush();
  }
  machine.applyDescriptor(next(), utf8('second'));
  machine.applyDescriptor(next(), utf8('third'));
  await tree.flush();
  await tree.close();

  await using opened = await Tree.open(treeDirectory, treeResources(disk));
  expect(opened.appliedIndex).toBe(machine.appliedIndex);
  const again = defined(await StateMachine.open(opened, options), 'the shard');
  expect(again.descriptor).toEqual(utf8('third'));
});
