import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/promises.js';
import { OpenFiles, type FileSlot } from '../../../src/lsm/sstable/open-files.js';
import type { DiskFile } from '../../../src/env/disk.js';
import { newDisk } from '../harness.js';
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

  it('are not closed under those who read them', async () => {
    const { files, slots } = await setUp(1);
    const gate = deferred<void>();
    const slow = slots[0].use(async (file) => {
      await gate.promise;
      return firstByte(file);
    });
    expect(await slots[1].use(firstByte)).toBe(1);
    expect(await slots[2].use(firstByte)).toBe(2);
    // The one in use, and no other.
    expect(files.count).toBe(1);
    gate.resolve();
    expect(await slow).toBe(0);
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
});
