import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { Tree } from '../../src/lsm/tree.js';
import { userKey } from '../../src/mvcc/keyspace.js';
import { initialIndex, StateMachine } from '../../src/mvcc/state-machine.js';
import { SimDisk } from '../../src/sim/disk.js';
import { NaiveEngine } from './naive-engine.js';
import { RandomLeader, retention } from './random-leader.js';
import { smallTree, treeResources } from './real-tree.js';

const options = { retention };
const descriptor = utf8('descriptor');

describe('the state machine over a tree', () => {
  it.each([1, 2, 3])('evaluates as the model says, through flushes and compactions (seed %i)', async (seed) => {
    const random = new Prng(seed);
    const disk = new SimDisk({ random: random.split('disk') });
    await using tree = await Tree.create('leader', treeResources(disk), smallTree);
    const machine = await StateMachine.create(tree, descriptor, options);
    const leader = new RandomLeader(random.split('steps'), tree, machine);
    for (let step = 0; step < 400; step++) {
      await tree.writeStall();
      await leader.step();
    }
    await leader.finish();
    expect(leader.forgotten).toBeGreaterThan(10);
    const { flushes, compactions, compactionDroppedEntries } = tree.stats();
    expect(flushes).toBeGreaterThan(3);
    expect(compactions).toBeGreaterThan(1);
    expect(compactionDroppedEntries).toBeGreaterThan(10);
    await followWithPowerLosses(leader.entries, random.split('follower'));
  });
});

/**
 * Another replica applies the same entries and loses power now and then. Whenever it is where the reference is, it
 * must have the same state hash, and the same answers at every timestamp that it may still be asked for.
 */
async function followWithPowerLosses(entries: readonly Uint8Array[], random: Prng): Promise<void> {
  const reference = new NaiveEngine();
  const referenceMachine = await StateMachine.create(reference, descriptor, options);
  const disk = new SimDisk({ random: random.split('disk') });
  let tree = await Tree.create('follower', treeResources(disk), smallTree);
  let machine = await StateMachine.create(tree, descriptor, options);
  let powerLosses = 0;
  const apply = async (index: LogIndex): Promise<void> => {
    await tree.writeStall();
    machine.apply(index, entries[index - initialIndex - 1]);
  };

  for (let index = initialIndex + 1; index <= initialIndex + entries.length; index++) {
    referenceMachine.apply(LogIndex(index), entries[index - initialIndex - 1]);
    await apply(LogIndex(index));
    if (random.chance(0.05)) {
      powerLosses++;
      // The disk is down until the old tree is closed: no work of it goes on after the power loss.
      disk.crashAtOperation = disk.operationCount + 1;
      await tree.close().catch(() => undefined);
      disk.crash({ keep: 'random' });
      tree = await Tree.open('follower', treeResources(disk), smallTree);
      const opened = await StateMachine.open(tree, options);
      if (opened === undefined) throw new Error('the shard is gone');
      machine = opened;
      await compareReads(machine, reference, random);
      while (machine.appliedIndex < index) await apply(LogIndex(machine.appliedIndex + 1));
    }
    if (random.chance(0.1)) {
      expect(machine.maxVersion).toBe(referenceMachine.maxVersion);
      expect(await machine.stateHash()).toBe(await referenceMachine.stateHash());
      await compareReads(machine, reference, random);
    }
  }
  expect(await machine.stateHash()).toBe(await referenceMachine.stateHash());
  expect(powerLosses).toBeGreaterThan(2);
  await tree.close();
}

async function compareReads(machine: StateMachine, reference: NaiveEngine, random: Prng): Promise<void> {
  if (machine.maxVersion === 0) return;
  const timestamps = [machine.safePoint, machine.maxVersion, random.int(machine.safePoint, machine.maxVersion)];
  for (const at of timestamps) {
    for (const key of ['a', 'b', 'ba', 'c', 'd']) {
      const expected = await reference.get(userKey(utf8(key)), Timestamp(at));
      const found = await machine.read(utf8(key), Timestamp(at));
      if (expected?.kind !== 'put') expect(found).toBeUndefined();
      else expect(found).toEqual({ version: expected.version, value: expected.value });
    }
  }
}
