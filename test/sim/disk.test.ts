import { describe, expect, test } from 'vitest';
import { utf8, fromUtf8 } from '../../src/base/bytes.js';
import { Prng } from '../../src/base/prng.js';
import { DiskError, readWholeFile, replaceFile, type Disk, type DiskFile } from '../../src/env/disk.js';
import { SimDisk } from '../../src/sim/disk.js';
import { sectorBytes } from '../../src/sim/file-state.js';

const newDisk = (seed = 1): SimDisk => new SimDisk({ random: new Prng(seed) });

async function put(disk: Disk, path: string, text: string, sync: boolean): Promise<void> {
  const file = await disk.open(path, 'create');
  await file.write(utf8(text), 0);
  if (sync) await file.sync();
  await file.close();
}

const text = async (disk: Disk, path: string): Promise<string> => fromUtf8(await readWholeFile(disk, path));

describe('power loss', () => {
  test('takes content that was not synced and names whose folder was not', async () => {
    const disk = newDisk();
    await disk.makeDirectory('/d');
    await disk.syncDirectory('/');
    await put(disk, '/d/synced', 'synced', true);
    await put(disk, '/d/empty', 'lost', false);
    await disk.syncDirectory('/d');
    await put(disk, '/d/nameless', 'synced, but the name is not', true);
    disk.crash({ keep: 'none' });
    expect(await disk.list('/d')).toEqual(['empty', 'synced']);
    expect(await text(disk, '/d/synced')).toBe('synced');
    expect(await text(disk, '/d/empty')).toBe('');
  });

  test('spares everything when only the process dies, and still takes it later', async () => {
    const disk = newDisk();
    await put(disk, '/a', 'not synced', false);
    disk.crash({ keep: 'all' });
    expect(await text(disk, '/a')).toBe('not synced');
    disk.crash({ keep: 'none' });
    expect(await disk.exists('/a')).toBe(false);
  });

  test('a sync covers only what was written when it was called', async () => {
    const disk = newDisk();
    const file = await disk.open('/a', 'create');
    await disk.syncDirectory('/');
    await file.write(utf8('first'), 0);
    const synced = file.sync();
    await file.write(utf8('second'), 5);
    await synced;
    disk.crash({ keep: 'none' });
    expect(await text(disk, '/a')).toBe('first');
  });
});

describe('replaceFile', () => {
  test('leaves the old content or the new one, whole, wherever the power is lost', async () => {
    const outcomes = new Set<string>();
    for (let n = 1; ; n++) {
      const disk = newDisk(n);
      await replaceFile(disk, '/', 'file', utf8('old '.repeat(300)));
      const before = disk.operationCount;
      disk.crashAtOperation = before + n;
      let crashed = false;
      await replaceFile(disk, '/', 'file', utf8('new '.repeat(300))).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'crashed' });
        crashed = true;
      });
      disk.crash({ keep: 'random' });
      const found = await text(disk, '/file');
      expect([crashed ? 'old '.repeat(300) : '', 'new '.repeat(300)]).toContain(found);
      outcomes.add(found.slice(0, 3));
      if (!crashed) break;
      expect(n).toBeLessThan(50);
    }
    expect([...outcomes].sort()).toEqual(['new', 'old']);
  });
});

describe('faults', () => {
  test('a fault of choice makes its operation fail', async () => {
    const disk = newDisk();
    disk.fault = (operation, path) => (operation === 'write' && path === '/b' ? 'io' : undefined);
    await put(disk, '/a', 'a', true);
    await expect(put(disk, '/b', 'b', true)).rejects.toMatchObject({ name: 'DiskError', code: 'io', path: '/b' });
  });

  test('reads at once fail as others do, and wait where the disk is stalled', async () => {
    const disk = newDisk();
    await put(disk, '/a', 'a', true);
    const file = await disk.open('/a', 'read');
    const tries = (): unknown[] => Array.from({ length: 50 }, () => file.readNow(new Uint8Array(1), 0));
    expect(new Set(tries())).toEqual(new Set([undefined, 1]));
    disk.stall();
    expect(new Set(tries())).toEqual(new Set([undefined]));
    disk.unstall();
    disk.fault = (operation) => (operation === 'read' ? 'io' : undefined);
    expect(tries).toThrow(expect.objectContaining({ name: 'DiskError', code: 'io' }));
    disk.fault = undefined;
    disk.crashAtOperation = disk.operationCount + 1;
    expect(tries).toThrow(expect.objectContaining({ name: 'DiskError', code: 'crashed' }));
  });

  test('what a failed sync was to save is gone after a power loss, though a later sync succeeds', async () => {
    const disk = newDisk();
    const file = await disk.open('/a', 'create');
    await disk.syncDirectory('/');
    await file.write(utf8('lost'), 0);
    disk.fault = (operation) => (operation === 'sync' ? 'io' : undefined);
    await expect(file.sync()).rejects.toBeInstanceOf(DiskError);
    disk.fault = undefined;
    await file.write(utf8('kept'), 4);
    await file.sync();
    expect(await text(disk, '/a')).toBe('lostkept');
    disk.crash({ keep: 'none' });
    expect(await text(disk, '/a')).toBe('\0\0\0\0kept');
  });

  test('in a file of durable writes each is safe when it resolves, and may be torn until then', async () => {
    const durable = async (disk: SimDisk): Promise<DiskFile> => {
      const file = await disk.open('/a', 'createDurable');
      await disk.syncDirectory('/');
      await file.write(utf8('safe'), 0);
      return file;
    };
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const disk = newDisk(seed);
      const file = await durable(disk);
      disk.crashAtOperation = disk.operationCount + 1 + (seed % 2);
      const bytes = new Uint8Array(2 * sectorBytes).fill(1);
      await expect(file.write(bytes, sectorBytes)).rejects.toMatchObject({ code: 'crashed' });
      disk.crash({ keep: 'random' });
      const content = disk.content('/a');
      expect(fromUtf8(content.subarray(0, 4))).toBe('safe');
      outcomes.add([sectorBytes, 2 * sectorBytes].map((at) => content[at] ?? 0).join());
    }
    expect(outcomes).toEqual(new Set(['0,0', '0,1', '1,0', '1,1']));
    const found = newDisk();
    await (await durable(found)).close();
    await (await found.open('/a', 'readWriteDurable')).write(utf8('S'), 0);
    found.crash({ keep: 'none' });
    expect(await text(found, '/a')).toBe('Safe');
    const failing = newDisk();
    const file = await durable(failing);
    failing.fault = (operation) => (operation === 'sync' ? 'io' : undefined);
    await expect(file.write(utf8('lost'), 4)).rejects.toMatchObject({ code: 'io' });
    expect(await text(failing, '/a')).toBe('safelost');
    failing.crash({ keep: 'none' });
    expect(await text(failing, '/a')).toBe('safe');
  });

  test('a quota refuses what does not fit, until space returns', async () => {
    const disk = newDisk();
    disk.quotaBytes = 10;
    await put(disk, '/a', '12345678', false);
    const file = await disk.open('/b', 'create');
    await expect(file.write(utf8('1234'), 0)).rejects.toMatchObject({ code: 'noSpace' });
    await disk.remove('/a');
    await file.write(utf8('1234'), 0);
    expect(await text(disk, '/b')).toBe('1234');
  });

  test('a stalled disk does nothing until it goes on', async () => {
    const disk = newDisk();
    disk.stall();
    let done = false;
    const writing = put(disk, '/a', 'a', true).then(() => (done = true));
    for (let i = 0; i < 100; i++) await Promise.resolve();
    expect(done).toBe(false);
    disk.unstall();
    await writing;
    expect(await text(disk, '/a')).toBe('a');
  });

  test('damage changes what is read, before and after a power loss', async () => {
    const disk = newDisk();
    await put(disk, '/a', 'abc', true);
    await disk.syncDirectory('/');
    disk.corrupt('/a', 1, 0x03);
    expect(await text(disk, '/a')).toBe('aac');
    disk.overwrite('/a', 0, utf8('x'));
    disk.crash({ keep: 'none' });
    expect(await text(disk, '/a')).toBe('xac');
  });

  test('handles that were open at a crash are of no use after it', async () => {
    const disk = newDisk();
    const file = await disk.open('/a', 'create');
    const writing = file.write(utf8('a'), 0);
    disk.crash({ keep: 'all' });
    await expect(writing).rejects.toMatchObject({ code: 'crashed' });
    await expect(file.sync()).rejects.toMatchObject({ code: 'crashed' });
  });
});

test('a clone is independent, and keeps hard links and what is not durable', async () => {
  const disk = newDisk();
  await put(disk, '/a', 'one', true);
  await disk.link('/a', '/b');
  await disk.syncDirectory('/');
  await put(disk, '/c', 'not durable', false);
  const clone = disk.clone(new Prng(2));
  const file = await clone.open('/a', 'readWrite');
  await file.write(utf8('two'), 0);
  expect(await text(clone, '/b')).toBe('two');
  expect(await text(disk, '/b')).toBe('one');
  expect(await text(clone, '/c')).toBe('not durable');
  clone.crash({ keep: 'none' });
  expect(clone.paths()).toEqual(['/a', '/b']);
  expect(disk.paths()).toEqual(['/a', '/b', '/c']);
});
