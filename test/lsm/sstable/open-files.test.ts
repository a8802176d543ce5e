import { describe, expect, it } from 'vitest';
import { Prng } from '../../../src/base/prng.js';
import { deferred } from '../../../src/base/promises.js';
import { OpenFiles, type FileSlot } from '../../../src/lsm/sstable/open-files.js';
import { DiskError, type DiskFile } from '../../../src/env/disk.js';
import { newDisk, put, scan, treeDirectory, treeResources } from '../harness.js';
import { BlockCache } from '../../../src/lsm/block-cache.js';
import { Tree } from '../../../src/lsm/tree.js';
import type { SimDisk } from '../../../src/sim/disk.js';

async function setUp(
  filesMax: number,
): Promise<{ disk: SimDisk; files: OpenFiles; slots: FileSlot[]; opened: string[] }> {
  const disk = newDisk();
  const files = new OpenFiles(filesMax);
  const opened: string[] = [];
  const names = ['a', 'b', 'c', 'd'];
  for (const [i, name] of names.entries()) {
    const file = await disk.open(name, 'create');
    await file.write(Uint8Array.of(i), 0);
    await file.close();
  }
  const slots = names.map((name) =>
    files.slot(() => {
      opened.push(name);
      return disk.open(name, 'read');
    }),
  );
  return { disk, files, slots, opened };
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
}

async function firstByte(file: DiskFile): Promise<number> {
  const target = new Uint8Array(1);
  await file.read(target, 0);
  return target[0];
}

describe('open files', () => {
  it('stay open while there is room, and those least recently used go first', async () => {
    const { files, slots, opened } = await setUp(2);
    const [a, b, c] = slots;
    for (const slot of [a, b, a, a, c, a, b]) await slot.use(firstByte);
    expect(opened).toEqual(['a', 'b', 'c', 'b']);
    expect(files.count).toBe(2);
    expect(await c.use(firstByte)).toBe(2);
  });

  it('are opened once for many who ask at a time', async () => {
    const { slots, opened } = await setUp(1);
    expect(await Promise.all([1, 2, 3].map(() => slots[1].use(firstByte)))).toEqual([1, 1, 1]);
    expect(opened).toEqual(['b']);
  });

  it('are not closed under those who read them: who needs another one waits for its turn', async () => {
    const { files, slots, opened } = await setUp(1);
    const gate = deferred<void>();
    const slow = slots[0].use(async (file) => {
      await gate.promise;
      return firstByte(file);
    });
    const waiting = [slots[1].use(firstByte), slots[2].use(firstByte), slots[0].use(firstByte)];
    // The one that is open serves others meanwhile.
    expect(await waiting[2]).toBe(0);
    expect(opened).toEqual(['a']);
    gate.resolve();
    expect(await slow).toBe(0);
    expect(await Promise.all(waiting)).toEqual([1, 2, 0]);
    expect(opened).toEqual(['a', 'b', 'c']);
    expect(files.count).toBe(1);
  });

  it('are never more than the maximum, whoever opens, reads, closes and fails at one time', async () => {
    const filesMax = 3;
    const random = new Prng(1);
    const { disk } = await setUp(1);
    const files = new OpenFiles(filesMax);
    let [open, openMost] = [0, 0];
    const slots = Array.from({ length: 20 }, () =>
      files.slot(async () => {
        openMost = Math.max(openMost, ++open);
        await turns(random.int(0, 2));
        if (random.chance(0.2)) {
          open--;
          throw new DiskError('io', 'a', 'open');
        }
        const file = await disk.open('a', 'read');
        const close = async (): Promise<void> => {
          await turns(random.int(0, 2));
          open--;
        };
        return Object.assign(file, { close });
      }),
    );
    let [read, failed] = [0, 0];
    const uses = Array.from({ length: 500 }, async () => {
      await turns(random.int(0, 49));
      const slot = random.pick(slots);
      try {
        await slot.use(() => turns(random.int(0, 3)));
        read++;
      } catch {
        failed++;
      }
      if (random.chance(0.1)) await slot.close();
    });
    await Promise.all(uses);
    expect(openMost).toBe(filesMax);
    expect(read).toBeGreaterThan(300);
    expect(failed).toBeGreaterThan(10);
    await Promise.all(slots.map((slot) => slot.close()));
    await turns(10);
    expect([open, files.count]).toEqual([0, 0]);
  });

  it('can be opened after it failed, and after they were closed', async () => {
    const { disk, files, slots } = await setUp(2);
    disk.fault = (operation) => (operation === 'open' ? 'io' : undefined);
    await expect(slots[0].use(firstByte)).rejects.toMatchObject({ code: 'io' });
    expect(files.count).toBe(0);
    disk.fault = undefined;
    expect(await slots[0].use(firstByte)).toBe(0);
    await slots[0].close();
    await slots[0].close();
    expect(files.count).toBe(0);
    expect(await slots[0].use(firstByte)).toBe(0);
  });

  it('suffice for more iterators at one time than there may be files, each of which needs all tables', async () => {
    const disk = newDisk();
    const openFiles = new OpenFiles(2);
    const resources = treeResources(disk, { openFiles, blockCache: new BlockCache(0) });
    const shape = { level0TablesCompact: 50, level0TablesStall: 51 };
    await using tree = await Tree.create(treeDirectory, resources, shape);
    for (let version = 1; version <= 8; version++) {
      put(tree, `k${version}`, version, 'value');
      await tree.flush();
    }
    let most = 0;
    disk.fault = (operation) => {
      if (operation === 'open') most = Math.max(most, openFiles.count);
      return undefined;
    };
    const scans = await Promise.all(Array.from({ length: 100 }, () => scan(tree)));
    for (const records of scans) expect(records).toHaveLength(8);
    expect(most).toBe(2);
  });
});
