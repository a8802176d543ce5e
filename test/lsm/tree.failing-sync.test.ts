/**
 * A sync fails, once, whichever it is; later ones succeed, but what this one was for is forgotten by the disk. What was said
 * to be durable is, after a restart and after a power loss that follows at once or later.
 */
import { expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import type { Timer } from '../../src/env/clock.js';
import { DiskError } from '../../src/env/disk.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { ManualClock, newDisk, scan, settled, treeDirectory, treeResources, type ShownRecord } from './harness.js';

const options = {
  memtableBytesMax: 300,
  blockBytes: 100,
  sstableBytesTarget: 500,
  level0TablesCompact: 2,
  levelBytesBase: 700,
  levelBytesMultiplier: 2,
  manifestBytesMax: 300,
};
const batchCount = 16;

function writeFrom(tree: Tree, index: number): void {
  const batch = new TreeBatch();
  for (const n of [index, 3 * index]) batch.put(utf8(`k${n % 11}`), Timestamp(index), utf8(`value ${index}`));
  tree.write(batch, LogIndex(index));
}

function expectedAfter(count: number): ShownRecord[] {
  const all = new Map<string, ShownRecord>();
  for (let index = 1; index <= count; index++) {
    for (const key of [index, 3 * index].map((n) => `k${n % 11}`)) {
      all.set(key, { key, version: index, value: `value ${index}` });
    }
  }
  return [...all.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Who waits for space tries again in the next turn. */
class HastyClock extends ManualClock {
  override after(delayMs: number, callback: () => void): Timer {
    setImmediate(() => this.advance(delayMs));
    return super.after(delayMs, callback);
  }
}

async function openTree(disk: SimDisk): Promise<Tree> {
  const resources = treeResources(disk, { clock: new HastyClock() });
  return (await Tree.exists(treeDirectory, disk))
    ? Tree.open(treeDirectory, resources, options)
    : Tree.create(treeDirectory, resources, options);
}

/** What is not in the tree, with a flush after every few batches; gives what was durable before anything failed. */
async function writeRest(disk: SimDisk): Promise<number> {
  let durable = 0;
  try {
    await using tree = await openTree(disk);
    durable = tree.durableAppliedIndex;
    tree.onDurable((index) => (durable = index));
    for (let index = tree.appliedIndex + 1; index <= batchCount; index++) {
      await tree.writeStall();
      writeFrom(tree, index);
      if (index % 3 === 0) await tree.flush();
    }
    await settled(tree);
  } catch (error) {
    if (!(error instanceof DiskError && ['io', 'noSpace'].includes(error.code))) throw error;
  }
  return durable;
}

/** Gives what is durable by then. */
async function expectWhole(disk: SimDisk, atLeast: number): Promise<number> {
  if (atLeast === 0 && !(await Tree.exists(treeDirectory, disk))) return 0;
  await using tree = await Tree.open(treeDirectory, treeResources(disk), options);
  expect(tree.appliedIndex).toBeGreaterThanOrEqual(atLeast);
  expect(await scan(tree)).toEqual(expectedAfter(tree.appliedIndex));
  await tree.verify();
  return tree.durableAppliedIndex;
}

function afterPowerLoss(disk: SimDisk): SimDisk {
  const cut = disk.clone(new Prng(1));
  cut.crash({ keep: 'none' });
  return cut;
}

it.each([
  ['sync', 'io'],
  ['syncDirectory', 'io'],
  // Not to be tried again when there is room: the names are forgotten all the same.
  ['syncDirectory', 'noSpace'],
] as const)('%s may fail, whichever it is: %s', async (failing, code) => {
  let failures = 0;
  for (let wanted = 1; failures === wanted - 1; wanted++) {
    const disk = newDisk(wanted);
    await disk.makeDirectory('node');
    await disk.syncDirectory('.');
    let count = 0;
    disk.fault = (operation) => (operation === failing && ++count === wanted ? code : undefined);
    const durable = await writeRest(disk);
    if (count >= wanted) failures++;
    disk.fault = undefined;
    await expectWhole(afterPowerLoss(disk), durable);
    const restarted = await expectWhole(disk, durable);
    await expectWhole(afterPowerLoss(disk), restarted);
    expect(await writeRest(disk)).toBe(batchCount);
    disk.crash({ keep: wanted % 2 === 0 ? 'random' : 'none' });
    await expectWhole(disk, batchCount);
  }
  expect(failures).toBeGreaterThan(15);
});
