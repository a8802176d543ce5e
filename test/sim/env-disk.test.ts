/** What every `Disk` must do: the same tests against the simulated one and the real one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { concatBytes, fromUtf8, utf8 } from '../../src/base/bytes.js';
import { Prng } from '../../src/base/prng.js';
import { readWholeFile, replaceFile, type Disk, type DiskFile } from '../../src/env/disk.js';
import { NodeDisk } from '../../src/platform/disk.js';
import { runTurns } from '../../src/platform/turns.js';
import { SimDisk } from '../../src/sim/disk.js';
import { SimProcess } from '../../src/sim/process.js';
import { Scheduler } from '../../src/sim/scheduler.js';

interface Place {
  readonly disk: Disk;
  /** A folder that exists and is empty. */
  readonly root: string;
  /** Lets what the test awaits happen. */
  run<T>(test: Promise<T>): Promise<T>;
  end(): Promise<void>;
}

const places: Record<string, () => Promise<Place>> = {
  SimDisk: () =>
    Promise.resolve({
      disk: new SimDisk({ random: new Prng(1) }),
      root: '',
      run: (promise) => promise,
      end: () => Promise.resolve(),
    }),
  'mounted SimDisk': () => {
    const scheduler = new Scheduler(runTurns);
    const disk = new SimDisk({ random: new Prng(1) }).mount(scheduler, new SimProcess(scheduler, 'n1'));
    return Promise.resolve({
      disk,
      root: '',
      run: (promise) => scheduler.complete(promise),
      end: () => Promise.resolve(),
    });
  },
  NodeDisk: async () => {
    const root = await mkdtemp(join(tmpdir(), 'quorate-disk-'));
    return {
      disk: new NodeDisk(),
      root,
      run: (promise) => promise,
      end: () => rm(root, { recursive: true }),
    };
  },
};

describe.each(Object.keys(places))('%s', (name) => {
  let place: Place;
  beforeEach(async () => {
    place = await places[name]();
  });
  afterEach(() => place.end());

  const check = (title: string, body: (disk: Disk, root: string) => Promise<void>): void => {
    test(title, () => place.run(body(place.disk, place.root)));
  };

  const put = async (disk: Disk, path: string, content: string): Promise<void> => {
    const file = await disk.open(path, 'create');
    await file.write(utf8(content), 0);
    await file.close();
  };

  const text = async (disk: Disk, path: string): Promise<string> => fromUtf8(await readWholeFile(disk, path));

  const fails = (promise: Promise<unknown>, code: string): Promise<void> =>
    expect(promise).rejects.toMatchObject({ name: 'DiskError', code });

  /** Until the disk has the bytes at hand. */
  const readNow = (file: DiskFile, target: Uint8Array, offset: number): number => {
    for (let tries = 0; tries < 1e6; tries++) {
      const count = file.readNow(target, offset);
      if (count !== undefined) return count;
    }
    throw new Error('the disk never reads at once');
  };

  check('reads at once what it reads otherwise', async (disk, root) => {
    await put(disk, `${root}/a`, 'hello world');
    const file = await disk.open(`${root}/a`, 'read');
    const target = new Uint8Array(8);
    expect(readNow(file, target, 6)).toBe(5);
    expect(fromUtf8(target.subarray(0, 5))).toBe('world');
    expect(readNow(file, target, 11)).toBe(0);
    await file.close();
    expect(() => readNow(file, target, 0)).toThrow(expect.objectContaining({ name: 'DiskError', code: 'closed' }));
  });

  check('reads what was written, at any offset, with zeros in gaps', async (disk, root) => {
    const file = await disk.open(`${root}/a`, 'create');
    await file.write(utf8('world'), 8);
    await file.write(utf8('hello'), 0);
    expect(await file.size()).toBe(13);
    const target = new Uint8Array(20).fill(1);
    expect(await file.read(target, 0)).toBe(13);
    expect(target).toEqual(concatBytes(utf8('hello\0\0\0world'), new Uint8Array(7).fill(1)));
    expect(await file.read(target.subarray(0, 2), 4)).toBe(2);
    expect(target.subarray(0, 2)).toEqual(utf8('o\0'));
    expect(await file.read(target, 13)).toBe(0);
    expect(await file.read(target, 99)).toBe(0);
    expect(await file.read(new Uint8Array(0), 0)).toBe(0);
    await file.write(new Uint8Array(0), 50);
    expect(await file.size()).toBe(13);
    await file.sync();
    await file.close();
  });

  check('truncates, and extends with zeros', async (disk, root) => {
    await put(disk, `${root}/a`, 'abcdef');
    const file = await disk.open(`${root}/a`, 'readWrite');
    await file.truncate(3);
    await file.truncate(5);
    await file.close();
    expect(await text(disk, `${root}/a`)).toBe('abc\0\0');
  });

  check('writes and reads side by side', async (disk, root) => {
    const file = await disk.open(`${root}/a`, 'create');
    const pieces = Array.from({ length: 30 }, (_, i) => new Uint8Array(1000).fill(i));
    await Promise.all(pieces.map((piece, i) => file.write(piece, i * 1000)));
    await Promise.all(
      pieces.map(async (piece, i) => {
        const target = new Uint8Array(1000);
        expect(await file.read(target, i * 1000)).toBe(1000);
        expect(Buffer.compare(target, piece)).toBe(0);
      }),
    );
    await file.close();
  });

  check('opens in the mode that was asked for', async (disk, root) => {
    await fails(disk.open(`${root}/a`, 'read'), 'notFound');
    await fails(disk.open(`${root}/a`, 'readWrite'), 'notFound');
    await put(disk, `${root}/a`, 'a');
    await fails(disk.open(`${root}/a`, 'create'), 'exists');
    await fails(disk.open(`${root}/none/a`, 'create'), 'notFound');
    const file = await disk.open(`${root}/a`, 'read');
    await fails(file.write(utf8('b'), 0), 'notPermitted');
    await fails(file.truncate(0), 'notPermitted');
    await file.close();
    expect(await text(disk, `${root}/a`)).toBe('a');
  });

  check('writes and reads a file of durable writes like any other', async (disk, root) => {
    const file = await disk.open(`${root}/a`, 'createDurable');
    await file.write(utf8('hello world'), 0);
    await file.write(utf8('W'), 6);
    const target = new Uint8Array(20);
    expect(fromUtf8(target.subarray(0, await file.read(target, 0)))).toBe('hello World');
    await file.close();
    await fails(disk.open(`${root}/a`, 'createDurable'), 'exists');
    await fails(disk.open(`${root}/b`, 'readWriteDurable'), 'notFound');
    const again = await disk.open(`${root}/a`, 'readWriteDurable');
    await again.write(utf8('H'), 0);
    await again.close();
    expect(await text(disk, `${root}/a`)).toBe('Hello World');
  });

  check('refuses what is done with a closed file', async (disk, root) => {
    const file = await disk.open(`${root}/a`, 'create');
    await file.close();
    await fails(file.write(utf8('a'), 0), 'closed');
    await fails(file.read(new Uint8Array(1), 0), 'closed');
    await fails(file.sync(), 'closed');
    await fails(file.size(), 'closed');
    await fails(file.close(), 'closed');
  });

  check('makes folders with their parents, and lists names in order', async (disk, root) => {
    await disk.makeDirectory(`${root}/d/e`);
    await disk.makeDirectory(`${root}/d/e`);
    for (const name of ['b', 'a', 'c10', 'c9']) await put(disk, `${root}/d/${name}`, name);
    expect(await disk.list(`${root}/d`)).toEqual(['a', 'b', 'c10', 'c9', 'e']);
    expect(await disk.list(`${root}/d/e`)).toEqual([]);
    await fails(disk.list(`${root}/none`), 'notFound');
    await fails(disk.list(`${root}/d/a`), 'io');
    await fails(disk.makeDirectory(`${root}/d/a`), 'exists');
    await fails(disk.makeDirectory(`${root}/d/a/f`), 'io');
    await disk.syncDirectory(`${root}/d`);
    await fails(disk.syncDirectory(`${root}/none`), 'notFound');
    expect(await disk.exists(`${root}/d/e`)).toBe(true);
    expect(await disk.exists(`${root}/d/none`)).toBe(false);
  });

  check('removes files and trees', async (disk, root) => {
    await disk.makeDirectory(`${root}/d/e`);
    await put(disk, `${root}/d/e/a`, 'a');
    await put(disk, `${root}/d/b`, 'b');
    await disk.remove(`${root}/d/b`);
    await fails(disk.remove(`${root}/d/b`), 'notFound');
    await fails(disk.remove(`${root}/d`), 'io');
    await disk.removeTree(`${root}/d`);
    await disk.removeTree(`${root}/d`);
    expect(await disk.exists(`${root}/d`)).toBe(false);
  });

  check('keeps an open file readable after its name is gone', async (disk, root) => {
    await put(disk, `${root}/a`, 'still here');
    const file = await disk.open(`${root}/a`, 'read');
    await disk.remove(`${root}/a`);
    const target = new Uint8Array(10);
    expect(await file.read(target, 0)).toBe(10);
    expect(fromUtf8(target)).toBe('still here');
    await file.close();
  });

  check('renames over files, and moves folders', async (disk, root) => {
    await put(disk, `${root}/a`, 'a');
    await put(disk, `${root}/b`, 'b');
    await disk.rename(`${root}/a`, `${root}/b`);
    expect(await disk.list(root === '' ? '/' : root)).toEqual(['b']);
    expect(await text(disk, `${root}/b`)).toBe('a');
    await fails(disk.rename(`${root}/none`, `${root}/b`), 'notFound');
    await fails(disk.rename(`${root}/b`, `${root}/none/b`), 'notFound');
    await disk.makeDirectory(`${root}/d`);
    await disk.makeDirectory(`${root}/full`);
    await disk.rename(`${root}/b`, `${root}/d/c`);
    await put(disk, `${root}/full/x`, 'x');
    await fails(disk.rename(`${root}/d`, `${root}/full`), 'exists');
    await fails(disk.rename(`${root}/full/x`, `${root}/d`), 'io');
    await disk.rename(`${root}/d`, `${root}/moved`);
    expect(await text(disk, `${root}/moved/c`)).toBe('a');
  });

  check('links a second name to the same file', async (disk, root) => {
    await put(disk, `${root}/a`, 'a');
    await disk.link(`${root}/a`, `${root}/b`);
    const file = await disk.open(`${root}/a`, 'readWrite');
    await file.write(utf8('c'), 0);
    await file.close();
    expect(await text(disk, `${root}/b`)).toBe('c');
    await fails(disk.link(`${root}/a`, `${root}/b`), 'exists');
    await fails(disk.link(`${root}/none`, `${root}/c`), 'notFound');
    await disk.remove(`${root}/a`);
    expect(await text(disk, `${root}/b`)).toBe('c');
  });

  check('replaces a small file as a whole', async (disk, root) => {
    await disk.makeDirectory(`${root}/d`);
    await replaceFile(disk, `${root}/d`, 'meta', utf8('one'));
    await replaceFile(disk, `${root}/d`, 'meta', utf8('two'));
    expect(await disk.list(`${root}/d`)).toEqual(['meta']);
    expect(await text(disk, `${root}/d/meta`)).toBe('two');
  });
});
