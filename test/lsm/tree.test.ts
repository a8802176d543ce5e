import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { deferred } from '../../src/base/promises.js';
import type { Background } from '../../src/env/background.js';
import { DiskError } from '../../src/env/disk.js';
import { TreeClosedError } from '../../src/lsm/background-errors.js';
import { BlockCache } from '../../src/lsm/block-cache.js';
import { compactJobType } from '../../src/lsm/compaction/compact-job.js';
import type { Entry, Found } from '../../src/lsm/entry.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { inlineBackground, ManualClock, newDisk, put, remove, scan, settled, text } from './harness.js';
import { treeDirectory, treeResources } from './harness.js';

const at = timestampMax;
const small = { memtableBytesMax: 400, level0TablesCompact: 2, level0TablesStall: 3, sealedMemtablesMax: 2 };

async function allVersions(tree: Tree): Promise<string[]> {
  const iterator = tree.openVersionIterator({ lower: utf8(''), upper: undefined });
  const shown: string[] = [];
  for (let entry: Entry | undefined; (entry = await iterator.next()) !== undefined;) {
    shown.push(`${text(entry.key)}@${entry.version}=${entry.kind === 'put' ? text(entry.value) : '-'}`);
  }
  iterator.close();
  return shown;
}

/** Lets everything run that needs no timer. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('Tree', () => {
  it('reads the newest version at or below a timestamp, deletions as such', async () => {
    const tree = await Tree.create(treeDirectory, treeResources(newDisk()));
    put(tree, 'k', 10, 'ten');
    put(tree, 'k', 20, 'twenty');
    remove(tree, 'k', 30);
    for (const flushed of [false, true]) {
      if (flushed) await tree.flush();
      const get = async (version: number) => tree.get(utf8('k'), Timestamp(version));
      expect(await get(9)).toBeUndefined();
      expect(await get(10)).toEqual({ version: 10, kind: 'put', value: utf8('ten') });
      expect(await get(29)).toEqual({ version: 20, kind: 'put', value: utf8('twenty') });
      expect(await get(30)).toEqual({ version: 30, kind: 'delete', value: utf8('') });
      expect(await scan(tree)).toEqual([]);
      expect(await scan(tree, { at: 25 })).toEqual([{ key: 'k', version: 20, value: 'twenty' }]);
      expect(await allVersions(tree)).toEqual(['k@30=-', 'k@20=twenty', 'k@10=ten']);
    }
    await tree.close();
  });

  it('answers at once from memory and from cached blocks', async () => {
    const tree = await Tree.create(treeDirectory, treeResources(newDisk()));
    put(tree, 'k', 1, 'v');
    expect(tree.get(utf8('k'), at)).toMatchObject({ version: 1 });
    await tree.flush();
    const first = tree.get(utf8('k'), at);
    expect(first).toBeInstanceOf(Promise);
    await first;
    expect(tree.get(utf8('k'), at)).toMatchObject({ version: 1 });
    await tree.close();
  });

  it('gets many keys at one time, at once where all is in memory', async () => {
    const tree = await Tree.create(treeDirectory, treeResources(newDisk()));
    put(tree, 'a', 1, 'a1');
    put(tree, 'b', 2, 'b2');
    remove(tree, 'b', 4);
    const keys = ['b', 'missing', 'a', 'b'].map((key) => utf8(key));
    const versions = (found: readonly (Found | undefined)[]): unknown[] => found.map((one) => one?.version);
    expect(versions(await tree.getMany([], at))).toEqual([]);
    const fromMemory = tree.getMany(keys, Timestamp(3));
    expect(fromMemory).not.toBeInstanceOf(Promise);
    expect(versions(await fromMemory)).toEqual([2, undefined, 1, 2]);
    await tree.flush();
    const fromDisk = tree.getMany(keys, at);
    expect(fromDisk).toBeInstanceOf(Promise);
    // What comes later is not seen.
    put(tree, 'a', 9, 'a9');
    expect(versions(await fromDisk)).toEqual([4, undefined, 1, 4]);
    expect(versions(await tree.getMany(keys, at))).toEqual([4, undefined, 9, 4]);
    await tree.close();
  });

  it('counts a version that was written again once, the later one', async () => {
    const tree = await Tree.create(treeDirectory, treeResources(newDisk()), small);
    put(tree, 'k', 5, 'first');
    await tree.flush();
    put(tree, 'k', 5, 'second');
    for (const reverse of [false, true]) {
      expect(await scan(tree, { reverse })).toEqual([{ key: 'k', version: 5, value: 'second' }]);
    }
    expect(await allVersions(tree)).toEqual(['k@5=second']);
    await settled(tree);
    expect(await allVersions(tree)).toEqual(['k@5=second']);
    expect(tree.stats().compactionDroppedEntries).toBe(1);
    await tree.close();
  });

  it('shows an iterator the tree as it was, though its tables have been compacted away', async () => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk, { blockCache: new BlockCache(0) }), small);
    put(tree, 'a', 1, 'old');
    put(tree, 'b', 2, 'old');
    await tree.flush();
    const iterator = tree.openIterator({ lower: utf8(''), upper: undefined, at, reverse: false });
    put(tree, 'a', 3, 'new');
    put(tree, 'b', 4, 'new');
    tree.setSafePoint(Timestamp(4));
    await settled(tree);
    expect(await allVersions(tree)).toEqual(['a@3=new', 'b@4=new']);
    expect(disk.paths().filter((path) => path.endsWith('.sst'))).toHaveLength(2);
    expect(await iterator.next()).toMatchObject({ key: utf8('a'), value: utf8('old') });
    expect(await iterator.next()).toMatchObject({ key: utf8('b'), value: utf8('old') });
    expect(await iterator.next()).toBeUndefined();
    iterator.close();
    iterator.close();
    await quiet();
    expect(disk.paths().filter((path) => path.endsWith('.sst'))).toHaveLength(1);
    expect(() => iterator.next()).toThrow('next of an iterator that is closed');
    await tree.close();
  });

  it('keeps what a closed iterator is still reading until that ends', async () => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk, { blockCache: new BlockCache(0) }), small);
    put(tree, 'a', 1, 'old');
    await tree.flush();
    const iterator = tree.openIterator({ lower: utf8(''), upper: undefined, at, reverse: false });
    disk.stall();
    const reading = Promise.resolve(iterator.next());
    expect(() => iterator.next()).toThrow('next of an iterator that is busy');
    iterator.close();
    disk.unstall();
    expect(await reading).toMatchObject({ version: 1 });
    await tree.close();
  });

  it('keeps whole batches up to the durable applied index across a restart, and nothing else', async () => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk));
    const durable: number[] = [];
    tree.onDurable((index) => durable.push(index));
    const batch = new TreeBatch().put(utf8('a'), Timestamp(1), utf8('1')).put(utf8('b'), Timestamp(1), utf8('1'));
    expect([batch.count, batch.bytes]).toEqual([2, 4]);
    tree.write(batch, LogIndex(3));
    await tree.flush();
    tree.write(new TreeBatch(), LogIndex(5));
    await tree.flush();
    await tree.flush();
    put(tree, 'c', 2, '2');
    expect([tree.appliedIndex, tree.durableAppliedIndex, durable]).toEqual([6, 5, [3, 5]]);
    expect(() => tree.write(new TreeBatch(), LogIndex(6))).toThrow('applied index 6 after 6');
    await tree.close();

    const again = await Tree.open(treeDirectory, treeResources(disk));
    expect([again.appliedIndex, again.durableAppliedIndex]).toEqual([5, 5]);
    expect(await scan(again)).toMatchObject([{ key: 'a' }, { key: 'b' }]);
    expect(again.stats()).toMatchObject({ memtableBytes: 0, stalled: false, levels: { 0: { tables: 1 } } });
    await again.close();
  });

  it('exists once it is created, and only once', async () => {
    const disk = newDisk();
    expect(await Tree.exists(treeDirectory, disk)).toBe(false);
    await (await Tree.create(treeDirectory, treeResources(disk))).close();
    expect(await Tree.exists(treeDirectory, disk)).toBe(true);
    await expect(Tree.create(treeDirectory, treeResources(disk))).rejects.toThrow('there is a tree');
  });

  it('drops replaced versions and tombstones below the safe point, not above', async () => {
    const tree = await Tree.create(treeDirectory, treeResources(newDisk()), small);
    put(tree, 'a', 1, 'x');
    put(tree, 'b', 2, 'x');
    await tree.flush();
    remove(tree, 'a', 3);
    put(tree, 'b', 4, 'y');
    put(tree, 'b', 6, 'z');
    tree.setSafePoint(Timestamp(5));
    tree.setSafePoint(Timestamp(2));
    await settled(tree);
    expect(await allVersions(tree)).toEqual(['b@6=z', 'b@4=y']);
    expect(await scan(tree, { at: 5 })).toEqual([{ key: 'b', version: 4, value: 'y' }]);
    await tree.close();
  });
});

describe('a tree whose flushes cannot keep up', () => {
  it('stalls writes until they have', async () => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk), small);
    disk.stall();
    for (let version = 1; tree.writeStall() === undefined; version++)
      put(tree, `key ${version}`, version, 'x'.repeat(50));
    expect(tree.stats()).toMatchObject({ sealedMemtables: 2, stalled: true });
    const stall = tree.writeStall();
    expect(tree.writeStall()).toBe(stall);
    disk.unstall();
    await stall;
    expect(tree.writeStall()).toBeUndefined();
    await tree.close();
  });

  it('stalls writes while level 0 has too many tables', async () => {
    const disk = newDisk();
    const gate = deferred<void>();
    const inline = inlineBackground(disk);
    const background: typeof inline = {
      run: (job, signal) => (job.isUrgent ? Promise.resolve() : gate.promise).then(() => inline.run(job, signal)),
    };
    const tree = await Tree.create(treeDirectory, treeResources(disk, { background }), small);
    for (let version = 1; version <= 3; version++) {
      expect(tree.writeStall()).toBeUndefined();
      put(tree, 'same key', version, 'x');
      await tree.flush();
    }
    expect(tree.stats().levels[0].tables).toBe(3);
    const stall = tree.writeStall();
    expect(stall).toBeDefined();
    gate.resolve();
    await stall;
    expect(tree.stats().levels[0].tables).toBeLessThan(3);
    await tree.close();
  });

  it('rejects who waits when it is closed', async () => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk), small);
    disk.stall();
    put(tree, 'k', 1, 'x'.repeat(500));
    put(tree, 'k', 2, 'x'.repeat(500));
    const stall = tree.writeStall();
    const flush = tree.flush();
    const rejected = [expect(stall).rejects.toThrow(TreeClosedError), expect(flush).rejects.toThrow(TreeClosedError)];
    const closing = tree.close();
    disk.unstall();
    await Promise.all([closing, ...rejected]);
    expect(tree.failure).toBeUndefined();
  });
});

describe('a tree on a full disk', () => {
  it.each(['flush', 'manifest', 'compaction'])('waits for space: %s', async (stage) => {
    const disk = newDisk();
    const clock = new ManualClock();
    const tree = await Tree.create(treeDirectory, treeResources(disk, { clock }), { ...small, level0TablesStall: 9 });
    let full = false;
    disk.fault = (operation, path) => {
      const isTable = path.endsWith('.sst');
      const hit =
        stage === 'flush' ? isTable : stage === 'manifest' ? !isTable : isTable && tree.stats().levels[0].tables >= 2;
      return full && hit && (operation === 'write' || operation === 'sync') ? 'noSpace' : undefined;
    };
    tree.write(
      new TreeBatch().put(utf8('a'), Timestamp(1), utf8('x')).put(utf8('c'), Timestamp(1), utf8('x')),
      LogIndex(1),
    );
    await tree.flush();
    full = true;
    put(tree, 'b', 2, 'x');
    const flushed = tree.flush();
    await quiet();
    expect(tree.stats().outOfSpace).toBe(true);
    // What was accepted is still taken, and read.
    expect(tree.writeStall()).toBeUndefined();
    expect(clock.timerCount).toBe(1);
    clock.advance(150);
    await quiet();
    expect(clock.timerCount).toBe(1);
    expect(await scan(tree)).toHaveLength(3);

    full = false;
    clock.advance(150);
    await quiet();
    expect(tree.stats().outOfSpace).toBe(true);
    clock.advance(100);
    await flushed;
    await quiet();
    expect(tree.failure).toBeUndefined();
    expect(tree.stats()).toMatchObject({ outOfSpace: false });
    await tree.verify();
    await tree.close();
    const again = await Tree.open(treeDirectory, treeResources(disk));
    expect(await scan(again)).toHaveLength(3);
    await again.verify();
    await again.close();
  });

  it('recovers with a real quota, and can be closed while it waits', async () => {
    const disk = newDisk();
    const clock = new ManualClock();
    const tree = await Tree.create(treeDirectory, treeResources(disk, { clock }), small);
    disk.quotaBytes = disk.usedBytes() + 50;
    put(tree, 'k', 1, 'x'.repeat(300));
    put(tree, 'k', 2, 'x'.repeat(300));
    await quiet();
    expect(tree.stats().outOfSpace).toBe(true);
    disk.quotaBytes = Infinity;
    clock.advance(100);
    await tree.writeStall();
    await tree.flush();
    disk.quotaBytes = disk.usedBytes() + 50;
    put(tree, 'k', 3, 'x'.repeat(500));
    await quiet();
    expect(tree.stats().outOfSpace).toBe(true);
    await tree.close();
    expect(clock.timerCount).toBe(0);
    disk.quotaBytes = Infinity;
    const again = await Tree.open(treeDirectory, treeResources(disk));
    expect(again.durableAppliedIndex).toBe(2);
    await again.close();
  });
});

describe('a tree whose disk fails', () => {
  it.each(['write', 'sync', 'syncDirectory', 'rename'] as const)('ends at a failed %s, for good', async (failing) => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk), small);
    put(tree, 'a', 1, 'durable');
    await tree.flush();
    put(tree, 'b', 2, 'not durable');
    const failures: Error[] = [];
    tree.onFailure((error) => failures.push(error));
    disk.fault = (operation) => (operation === failing ? 'io' : undefined);
    await expect(tree.flush()).rejects.toThrow(DiskError);
    disk.fault = undefined;
    expect(tree.failure).toMatchObject({ code: 'io' });
    expect(failures).toEqual([tree.failure]);
    tree.onFailure((error) => failures.push(error));
    expect(failures).toHaveLength(2);
    expect(() => put(tree, 'c', 3, 'x')).toThrow(DiskError);
    await expect(tree.writeStall()).rejects.toThrow(DiskError);
    await expect(tree.flush()).rejects.toThrow(DiskError);
    expect(await scan(tree)).toHaveLength(2);
    await tree.close();

    disk.crash({ keep: 'random' });
    const again = await Tree.open(treeDirectory, treeResources(disk));
    expect(await scan(again)).toHaveLength(again.durableAppliedIndex);
    await again.verify();
    await again.close();
  });

  it('takes nothing for durable after it has failed, nor what was under way', async () => {
    const disk = newDisk();
    const inline = inlineBackground(disk);
    const compaction = deferred<never>();
    const background: Background = {
      run: async (job, signal) => {
        if (job.type === compactJobType) return compaction.promise;
        const output = await inline.run<unknown, never>(job, signal);
        if (tree.stats().levels[0].tables === 2) {
          compaction.reject(new DiskError('io', 'node/tree/9.sst', 'write'));
          await quiet();
        }
        return output;
      },
    };
    const tree = await Tree.create(treeDirectory, treeResources(disk, { background }), { level0TablesCompact: 2 });
    for (const version of [1, 2]) {
      put(tree, 'a', version, 'durable');
      await tree.flush();
    }
    put(tree, 'a', 3, 'flushed while the compaction fails');
    await expect(tree.flush()).rejects.toThrow(DiskError);
    await quiet();
    expect([tree.failure, tree.durableAppliedIndex]).toMatchObject([{ code: 'io' }, 2]);
    await tree.close();
  });

  it('reports a failed read to the reader alone', async () => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk));
    put(tree, 'a', 1, 'x');
    await tree.flush();
    disk.fault = (operation) => (operation === 'read' ? 'io' : undefined);
    await expect(tree.get(utf8('a'), at)).rejects.toThrow(DiskError);
    await expect(scan(tree)).rejects.toThrow(DiskError);
    disk.fault = undefined;
    expect(await tree.get(utf8('a'), at)).toMatchObject({ version: 1 });
    expect(tree.failure).toBeUndefined();
    await tree.close();
  });
});
