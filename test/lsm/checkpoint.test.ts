import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { CorruptionError } from '../../src/base/errors.js';
import { Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { Tree } from '../../src/lsm/tree.js';
import type { TreeOptions } from '../../src/lsm/tree-options.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { newDisk, put, remove, scan, settled, text, treeDirectory, treeResources } from './harness.js';

const target = 'node/checkpoint';

const options: Partial<TreeOptions> = {
  memtableBytesMax: 1500,
  blockBytes: 200,
  sstableBytesTarget: 900,
  level0TablesCompact: 2,
  level0TablesStall: 4,
  levelBytesBase: 2500,
  levelBytesMultiplier: 2,
  compressionLevelMin: 1,
};

async function filledTree(disk: SimDisk, seed: number, batches = 400): Promise<Tree> {
  const random = new Prng(seed);
  const tree = await Tree.create(treeDirectory, treeResources(disk), options);
  for (let version = 1; version <= batches; version++) {
    await tree.writeStall();
    const key = `key-${String(random.int(0, 99)).padStart(2, '0')}`;
    if (random.chance(0.2)) remove(tree, key, version);
    else put(tree, key, version, `value ${version} `.repeat(random.int(1, 4)));
  }
  return tree;
}

function bounds(lower: string, upper?: string): { lower: Uint8Array; upper: Uint8Array | undefined } {
  return { lower: utf8(lower), upper: upper === undefined ? undefined : utf8(upper) };
}

describe('a checkpoint', () => {
  it.each([1, 2, 3, 4, 5, 6])('opens as a tree that has what was written within its bounds, seed %i', async (seed) => {
    const random = new Prng(seed);
    const disk = newDisk(seed);
    const tree = await filledTree(disk, seed);
    const [lower, upper] = [random.int(0, 99), random.int(0, 99)].sort((a, b) => a - b).map((n) => `key-${n}x`);
    const at = random.int(1, 400);
    const within = await scan(tree, { lower, upper, at });
    const index = await tree.checkpoint(target, bounds(lower, upper));
    expect(index).toBe(400);
    // The source goes on, and drops the tables that the checkpoint has.
    for (let version = 401; version <= 700; version++) {
      await tree.writeStall();
      put(tree, `key-${random.int(10, 99)}`, version, 'later');
    }
    tree.setSafePoint(Timestamp(700));
    await settled(tree);
    await tree.verify();
    await tree.close();

    const child = await Tree.open(target, treeResources(disk), options);
    await child.verify();
    expect(child.durableAppliedIndex).toBe(400);
    expect(await scan(child, { at })).toEqual(within);
    expect(await scan(child, { at, reverse: true })).toEqual([...within].reverse());
    for (let n = 0; n < 100; n++) {
      const key = `key-${String(n).padStart(2, '0')}`;
      const wanted = within.find((record) => record.key === key);
      const found = await child.get(utf8(key), Timestamp(at));
      const value = found?.kind === 'put' ? text(found.value) : undefined;
      expect(value).toBe(wanted?.value);
    }
    // Compactions of the child merge trimmed tables, and then it still has the same.
    const now = await scan(child);
    for (let version = 701; version <= 900; version++) {
      await child.writeStall();
      put(child, `zzz-${version % 50}`, version, 'of the child');
      put(child, `aaa-${version % 50}`, version, 'of the child');
    }
    await settled(child);
    expect(child.failure).toBeUndefined();
    expect(child.stats().compactions).toBeGreaterThan(0);
    expect((await scan(child)).filter(({ key }) => key.startsWith('key'))).toEqual(now);
    await child.verify();
    await child.close();
  });

  it('trims a table at the bounds, keeps it so when opened again, and leaves out those beyond', async () => {
    const disk = newDisk();
    const tree = await Tree.create(treeDirectory, treeResources(disk), {
      ...options,
      level0TablesCompact: 50,
      level0TablesStall: 50,
    });
    for (const [i, key] of ['a', 'b', 'c', 'd', 'e'].entries()) put(tree, key, i + 1, key);
    await tree.flush();
    put(tree, 'y', 10, 'beyond');
    await tree.checkpoint(target, bounds('b', 'd'));
    expect(disk.paths().filter((path) => path.includes('checkpoint') && path.endsWith('.sst'))).toHaveLength(1);
    for (let time = 0; time < 2; time++) {
      await using child = await Tree.open(target, treeResources(disk), options);
      expect((await scan(child)).map(({ key }) => key)).toEqual(['b', 'c']);
      expect((await scan(child, { reverse: true })).map(({ key }) => key)).toEqual(['c', 'b']);
      for (const [key, isThere] of [
        ['a', false],
        ['b', true],
        ['c', true],
        ['d', false],
      ] as const) {
        expect((await child.get(utf8(key), Timestamp(100))) !== undefined).toBe(isThere);
      }
      await child.verify();
    }
    await tree.close();
  });

  it('reads nothing of the tables that are all within its bounds', async () => {
    const disk = newDisk();
    await using tree = await filledTree(disk, 3);
    await settled(tree);
    await tree.close();
    await using reopened = await Tree.open(treeDirectory, treeResources(disk), options);
    const opened: string[] = [];
    disk.fault = (operation, path) => {
      if (operation === 'open' && path.startsWith(treeDirectory) && path.endsWith('.sst')) opened.push(path);
      return undefined;
    };
    await reopened.checkpoint(target);
    expect(opened).toEqual([]);
    await reopened.checkpoint(`${target}-part`, bounds('key-30x', 'key-60x'));
    // One or two for each level, of more tables than that.
    const tables = reopened.stats().levels.reduce((sum, level) => sum + level.tables, 0);
    expect(opened.length).toBeGreaterThan(0);
    expect(new Set(opened).size).toBeLessThan(tables / 2);
  });

  it('of nothing is an empty tree', async () => {
    const disk = newDisk();
    await using tree = await Tree.create(treeDirectory, treeResources(disk), options);
    await tree.checkpoint(target);
    await using child = await Tree.open(target, treeResources(disk), options);
    expect(await scan(child)).toEqual([]);
  });

  it('is not written over anything, and leaves nothing when it fails', async () => {
    const disk = newDisk();
    await using tree = await filledTree(disk, 1);
    await disk.makeDirectory('node/occupied');
    await expect(tree.checkpoint('node/occupied')).rejects.toMatchObject({ code: 'exists' });
    await tree.flush();
    disk.fault = (operation) => (operation === 'link' ? 'io' : undefined);
    await expect(tree.checkpoint(target)).rejects.toMatchObject({ code: 'io' });
    disk.fault = undefined;
    expect(await disk.exists(target)).toBe(false);
    await tree.checkpoint(target);
    expect(tree.failure).toBeUndefined();
  });

  it('that fails with its root in place loses that for good before anything else: no tree may miss a table', async () => {
    const disk = newDisk();
    await using tree = await filledTree(disk, 1);
    await tree.flush();
    const done: string[] = [];
    let hasRoot = false;
    disk.fault = (operation, path) => {
      if (!path.startsWith(target)) return undefined;
      if (operation === 'rename') hasRoot = true;
      else if (hasRoot && ['syncDirectory', 'remove', 'removeTree'].includes(operation)) {
        return done.push(`${operation} ${path}`) === 1 ? 'io' : undefined;
      }
      return undefined;
    };
    await expect(tree.checkpoint(target)).rejects.toMatchObject({ code: 'io' });
    expect(done.slice(1)).toEqual([`remove ${target}/CURRENT`, `syncDirectory ${target}`, `removeTree ${target}`]);
  });

  it('finds damage at its bounds', async () => {
    const disk = newDisk();
    await using tree = await Tree.create(treeDirectory, treeResources(disk), options);
    for (const [i, key] of ['a', 'b', 'c'].entries()) put(tree, key, i + 1, key);
    await tree.flush();
    const path = disk.paths().find((name) => name.endsWith('.sst')) ?? '';
    disk.corrupt(path, 3);
    await expect(tree.checkpoint(target, bounds('b'))).rejects.toBeInstanceOf(CorruptionError);
    expect(await Tree.exists(target, disk)).toBe(false);
  });
});
