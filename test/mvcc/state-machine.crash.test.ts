/**
 * Pitfall 5: data, applied index, request ids and descriptor change together. A replica loses power between any two batches, and at any
 * operation on its disk; whatever index it comes back with, its state is the one that another replica had at that index.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { DiskError } from '../../src/env/disk.js';
import { Tree } from '../../src/lsm/tree.js';
import { initialIndex, StateMachine } from '../../src/mvcc/state-machine.js';
import { SimDisk, type CrashKeeps } from '../../src/sim/disk.js';
import { processIsDead } from '../lsm/harness.js';
import { NaiveEngine } from './naive-engine.js';
import { RandomLeader, retention } from './random-leader.js';
import { smallTree, treeResources } from './real-tree.js';

const options = { retention };
const descriptors = [utf8('descriptor'), utf8('the next one')] as const;
const tiny = { ...smallTree, memtableBytesMax: 700, levelBytesBase: 1024 };

/** What changes the state, in the order of the log: batches of a random leader, and a descriptor among them. */
let entries: readonly ('descriptor' | Uint8Array)[];
/** Of the state at each index, by a replica that never stops. */
const hashes = new Map<number, string>();

function apply(machine: StateMachine, index: number): void {
  const entry = entries[index - initialIndex - 1];
  if (entry === 'descriptor') machine.applyDescriptor(LogIndex(index), descriptors[1]);
  else machine.apply(LogIndex(index), entry);
}

beforeAll(async () => {
  const engine = new NaiveEngine();
  const machine = await StateMachine.create(engine, descriptors[0], options);
  const leader = new RandomLeader(new Prng(5), engine, machine);
  while (leader.entries.length < 36) await leader.step();
  entries = leader.entries.flatMap((entry, i) => (i === 20 ? [entry, 'descriptor' as const] : [entry]));
  const reference = await StateMachine.create(new NaiveEngine(), descriptors[0], options);
  hashes.set(initialIndex, await reference.stateHash());
  for (let i = 1; i <= entries.length; i++) {
    apply(reference, initialIndex + i);
    hashes.set(initialIndex + i, await reference.stateHash());
  }
  expect(new Set(hashes.values()).size).toBeGreaterThan(entries.length * 0.8);
});

interface Life {
  readonly disk: SimDisk;
  /** Is on the disk, as the tree said. */
  durable: number;
}

async function newLife(seed: number): Promise<Life> {
  const disk = new SimDisk({ random: new Prng(seed) });
  const tree = await Tree.create('shard', treeResources(disk), tiny);
  await StateMachine.create(tree, descriptors[0], options);
  await tree.flush();
  await tree.close();
  return { disk, durable: initialIndex };
}

/** Opens what is there, and applies what it lacks up to `last`. Flushes and compacts as it goes. */
async function applyUpTo(life: Life, last: number): Promise<{ tree: Tree; machine: StateMachine }> {
  const tree = await Tree.open('shard', treeResources(life.disk), tiny);
  tree.onDurable((index) => (life.durable = index));
  const machine = defined(await StateMachine.open(tree, options), 'shard');
  for (let index = machine.appliedIndex + 1; index <= last; index++) {
    await tree.writeStall();
    apply(machine, index);
  }
  return { tree, machine };
}

/** With what the power loss has left: the state of some index, not before what was durable; then all of it. */
async function comesBack(life: Life): Promise<number> {
  const { tree, machine } = await applyUpTo(life, 0);
  const { appliedIndex } = machine;
  expect(appliedIndex).toBeGreaterThanOrEqual(life.durable);
  expect(await machine.stateHash(), `at index ${appliedIndex}`).toBe(hashes.get(appliedIndex));
  await tree.close();
  const last = initialIndex + entries.length;
  const again = await applyUpTo(life, last);
  expect(await again.machine.stateHash()).toBe(hashes.get(last));
  await again.tree.close();
  return appliedIndex;
}

describe('a replica that loses power', () => {
  it.each<CrashKeeps>(['none', 'random', 'all'])(
    'after any batch has the state of its index (keeps %s)',
    async (keep) => {
      const found = new Set<number>();
      for (let count = 0; count <= entries.length; count++) {
        const life = await newLife(count);
        const { tree } = await applyUpTo(life, initialIndex + count);
        life.disk.crashAtOperation = life.disk.operationCount + 1;
        await tree.close().catch(() => undefined);
        await processIsDead();
        life.disk.crash({ keep });
        found.add(await comesBack(life));
      }
      expect(found.size, 'indexes that it came back with').toBeGreaterThan(5);
    },
  );

  it('at any operation on its disk has the state of its index', async () => {
    const found = new Set<number>();
    let operations = 0;
    for (let isOver = false; !isOver;) {
      operations++;
      const life = await newLife(operations);
      const begun = life.disk.operationCount;
      life.disk.crashAtOperation = begun + operations;
      try {
        const { tree } = await applyUpTo(life, initialIndex + entries.length);
        await tree.close();
        if (tree.failure !== undefined) throw tree.failure;
      } catch (error) {
        if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
      }
      isOver = life.disk.operationCount < begun + operations;
      await processIsDead();
      life.disk.crash({ keep: 'random' });
      found.add(await comesBack(life));
    }
    expect(operations).toBeGreaterThan(100);
    expect(found.size, 'indexes that it came back with').toBeGreaterThan(5);
  });
});
