/** Power loss at every disk operation of the end of a replica, its part of the log included. */
import { expect, it } from 'vitest';
import { LogIndex, NodeId, ReplicaId, ShardId, Term } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { utf8 } from '../../../src/base/bytes.js';
import { defined } from '../../../src/base/assert.js';
import { DiskError } from '../../../src/env/disk.js';
import type { Env } from '../../../src/env/env.js';
import { silentLogger } from '../../../src/env/logger.js';
import { ReplicaStore } from '../../../src/node/replicas/replica-store.js';
import { installFolder } from '../../../src/node/snapshots/folders.js';
import type { CrashKeeps, SimDisk } from '../../../src/sim/disk.js';
import { inlineBackground, ManualClock, newDisk, processIsDead } from '../../lsm/harness.js';

const shard = ShardId(7);
const nextReplica = ReplicaId(4);
const limits = { ...defaultLimits, segmentBytesMax: 16 * 1024 * 1024 };

function openStore(disk: SimDisk): Promise<ReplicaStore> {
  const background = inlineBackground(disk);
  const [clock, random] = [new ManualClock(), new Prng(1)];
  const network = { listen: () => Promise.reject(new Error()), dial: () => Promise.reject(new Error()) };
  const env = { disk, background, clock, random, network, logger: silentLogger } as unknown as Env;
  return ReplicaStore.open({ env, directory: 'node', nodeId: NodeId(1), limits });
}

async function append(store: ReplicaStore, term: number, first: number, count: number): Promise<void> {
  const entries = Array.from({ length: count }, (_, i) => ({
    term: Term(term),
    index: LogIndex(first + i),
    data: new Uint8Array(10),
  }));
  const hardState = { term: Term(term), vote: ReplicaId(2), commit: LogIndex(1) };
  await store.log.append(shard, { hardState, entries, mustSync: true });
}

/** A replica with entries, of which some were never committed, a Raft snapshot that waits for its place, and another shard. */
async function prepare(disk: SimDisk): Promise<void> {
  await disk.makeDirectory('node');
  await disk.syncDirectory('.');
  const store = await openStore(disk);
  const of = { start: utf8(''), end: utf8(''), epoch: { membership: 1, range: 1 } };
  for (const id of [shard, ShardId(8)]) {
    const replicas = [{ replica: ReplicaId(3), node: NodeId(1) }];
    const { tree } = defined(await store.create({ shard: id, ...of, replicas }), 'replica');
    await tree.close();
  }
  await append(store, 5, 2, 6);
  await disk.makeDirectory(installFolder(`node/shards/${shard}`));
  await disk.syncDirectory('node/shards');
  await store.log.close();
}

/** As the host does it, once the tree is closed; then another replica of the shard comes. */
async function depart(disk: SimDisk): Promise<void> {
  const store = await openStore(disk);
  await store.bury(shard, nextReplica);
  const opened = defined(await store.createUnfilled(shard, nextReplica), 'replica');
  await append(store, 6, 1, 0);
  await opened.tree.close();
  await store.log.close();
}

/** What a start finds. */
async function recover(disk: SimDisk): Promise<'here' | 'gone' | 'next'> {
  // The folder of the snapshot is none that a tree could be opened from: where it still waits, the replica is here.
  const waits = await disk.exists(installFolder(`node/shards/${shard}`));
  if (waits) await disk.removeTree(installFolder(`node/shards/${shard}`));
  const store = await openStore(disk);
  const opened = await store.openAll();
  const found = opened.find(({ descriptor }) => descriptor.shard === shard);
  const log = store.log.group(shard);
  for (const { tree } of opened) await tree.close();
  expect(opened.some(({ descriptor }) => descriptor.shard === 8)).toBe(true);
  let state: 'here' | 'gone' | 'next';
  if (found?.replicaId === 3) {
    state = 'here';
    expect(store.smallestReplica(shard)).toBe(1);
    expect([log.lastIndex, log.hardState.term]).toEqual([7, 5]);
  } else {
    state = found === undefined ? 'gone' : 'next';
    expect(waits).toBe(false);
    expect(store.smallestReplica(shard)).toBe(nextReplica);
    // Nothing of the one that is gone counts for the next.
    expect([log.lastIndex, log.hardState.vote]).toEqual([0, log.hardState.term === 6 ? 2 : 0]);
    expect(found?.replicaId ?? nextReplica).toBe(nextReplica);
    expect(found?.machine.appliedIndex ?? 0).toBe(0);
    expect(await disk.list(`node/shards/${shard}.gone-${nextReplica}`)).toEqual([]);
  }
  await store.log.close();
  return state;
}

it.each(['random', 'none', 'all'] as const satisfies CrashKeeps[])(
  'a replica that ends under power loss is here or gone, tree and log alike, and never comes back; keeps %s',
  async (keep) => {
    const order = ['here', 'gone', 'next'];
    const seen = new Set<string>();
    let last = 'here';
    for (let operation = 1; ; operation++) {
      const disk = newDisk(operation);
      await prepare(disk);
      const first = disk.operationCount;
      disk.crashAtOperation = first + operation;
      await depart(disk).catch((error: unknown) => {
        if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
      });
      const isOver = disk.operationCount < first + operation;
      await processIsDead();
      disk.crash({ keep });
      // A start that loses power, too, leaves the rest to the next.
      disk.crashAtOperation = disk.operationCount + (operation % 17) + 1;
      await recover(disk).catch((error: unknown) => {
        if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
      });
      await processIsDead();
      disk.crash({ keep: 'none' });
      const found = await recover(disk);
      disk.crash({ keep: 'none' });
      expect(await recover(disk)).toBe(found);
      seen.add(found);
      if (keep !== 'random') expect(order.indexOf(found)).toBeGreaterThanOrEqual(order.indexOf(last));
      last = found;
      if (isOver) break;
    }
    expect(last).toBe('next');
    expect([...seen].sort()).toEqual(['gone', 'here', 'next']);
  },
);
