/** `quorate storage` on a data directory with two small trees, sound and damaged. */
import {
  appendFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  realpath,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { NodeDisk } from '../../src/platform/disk.js';
import { lockDirectory } from '../../src/platform/directory-lock.js';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { put, remove, treeResources } from '../lsm/harness.js';
import { flip, runStorage as run } from './storage-run.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quorate-storage-'));
  await mkdir(join(directory, 'shards'));
  await writeFile(join(directory, 'IDENTITY'), 'of a node');
  for (const shard of ['2', '10']) {
    await using tree = await Tree.create(join(directory, 'shards', shard), treeResources(new NodeDisk()));
    put(tree, `order/${shard}`, 5, 'paid');
    put(tree, 'key', 6, 'old');
    await tree.flush();
    put(tree, 'key', 7, 'new\n');
    remove(tree, 'gone', 8);
    await tree.flush();
  }
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

/** No socket can be made any more, as on a read-only file system; until the end of the test. */
function mountReadOnly(): void {
  const spy = vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server) {
    const error = Object.assign(new Error('listen EROFS: read-only file system'), { code: 'EROFS' });
    queueMicrotask(() => this.emit('error', error));
    return this;
  });
  onTestFinished(() => spy.mockRestore());
}

/** Names and contents of all files: what a tool that only looks leaves as it is. */
async function everything(): Promise<unknown> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.sort().map(async (path) => [path, (await readFile(path)).toString('hex')]));
}

describe('quorate storage verify', () => {
  test('finds nothing in a sound directory, of a node or of a tree, and leaves it as it was', async () => {
    const before = await everything();
    const all = await run('verify', directory);
    expect(all).toMatchObject({ status: 0, stderr: '' });
    expect(all.stdout.split('\n').slice(1, 3)).toEqual([
      expect.stringMatching(/shards\/2 +2 +0 +\d+ B {2}sound$/),
      expect.stringMatching(/shards\/10 +2 +0 +\d+ B {2}sound$/),
    ]);
    const one = await run('verify', join(directory, 'shards', '2'), '--json');
    expect(JSON.parse(one.stdout)).toEqual({
      trees: [
        {
          tree: join(directory, 'shards/2'),
          tables: 2,
          valueFiles: 0,
          bytes: expect.any(Number) as number,
          damages: [],
          strayPaths: [],
        },
      ],
      isSound: true,
    });
    expect(await everything()).toEqual(before);
  });

  test('names file and offset of everything that is damaged', async () => {
    const [first, second] = ['000002.sst', '000004.sst'].map((name) => join(directory, 'shards/2', name));
    const manifest = join(directory, 'shards/10/manifest-000001');
    await flip(first, 3);
    const { length } = await readFile(second);
    await truncate(second, length - 10);
    await flip(manifest, 40);
    const found = await run('verify', directory, '--json');
    expect(found.status).toBe(1);
    const { trees, isSound } = JSON.parse(found.stdout) as { trees: { damages: unknown[] }[]; isSound: boolean };
    expect(isSound).toBe(false);
    const damages = trees.flatMap((tree) => tree.damages);
    expect(damages).toHaveLength(3);
    expect(damages).toEqual(
      expect.arrayContaining([
        { file: first, offset: 0, message: `${first} is damaged at offset 0: a block does not match its checksum` },
        expect.objectContaining({ file: second, offset: length - 10 }),
        expect.objectContaining({ file: manifest, offset: 33 }),
      ]),
    );
    const shown = await run('verify', directory);
    expect(shown.status).toBe(1);
    expect(shown.stdout).toMatch(/shards\/2 +2 +0 +\d+ B {2}2 damaged\n/);
    expect(shown.stdout).toContain(`${first} is damaged at offset 0: a block does not match its checksum\n`);
  });

  test('finds a table and a root that are missing', async () => {
    await rm(join(directory, 'shards/2/000004.sst'));
    await rm(join(directory, 'shards/10/CURRENT'));
    const { status, stdout } = await run('verify', directory);
    expect(status).toBe(1);
    expect(stdout).toContain('000004.sst is damaged at offset 0: the table is missing\n');
    expect(stdout).toContain('shards/10/CURRENT is damaged at offset 0: it is missing\n');
  });

  test('finds that the root of the tree is missing where its folder is given', async () => {
    const tree = join(directory, 'shards/2');
    await rm(join(tree, 'CURRENT'));
    const wanted = `${tree}/CURRENT is damaged at offset 0: it is missing`;
    const verified = await run('verify', tree);
    expect(verified).toMatchObject({ status: 1, stderr: '' });
    expect(verified.stdout).toContain(`${wanted}\n`);
    expect(await run('dump', tree)).toEqual({ status: 1, stdout: '', stderr: `quorate: ${wanted}\n` });
    expect(await run('stats', tree)).toEqual({ status: 1, stdout: '', stderr: `quorate: ${wanted}\n` });
    // Nor is a new tree made over what is there.
    const before = await everything();
    await expect(Tree.create(tree, treeResources(new NodeDisk()))).rejects.toThrow('it is missing, though there is');
    expect(await everything()).toEqual(before);
  });

  test('names files that are no part of a tree', async () => {
    const stray = join(directory, 'shards/2/000999.sst');
    await writeFile(stray, 'x');
    const { status, stdout } = await run('verify', directory);
    expect(status).toBe(0);
    expect(stdout).toContain(`not part of it: ${stray}\n`);
  });

  test.each(['verify', 'dump', 'stats'])(
    '%s refuses a tree that a program has open, wherever it is',
    async (command) => {
      const elsewhere = join(directory, 'elsewhere');
      await (await Tree.create(elsewhere, treeResources(new NodeDisk()))).close();
      for (const path of [join(directory, 'shards/2'), elsewhere]) {
        await using _lock = await lockDirectory(path);
        expect(await run(command, path)).toMatchObject({
          status: 2,
          stdout: '',
          stderr: expect.stringContaining(`${path} is in use by`) as string,
        });
      }
    },
  );

  test.each(['verify', 'dump', 'stats'])('%s works where nothing can be written, and says so', async (command) => {
    const tree = join(directory, 'shards/2');
    const usual = await run(command, tree);
    mountReadOnly();
    const { status, stdout, stderr } = await run(command, tree);
    expect({ status, stdout }).toEqual({ status: 0, stdout: usual.stdout });
    const notes = [directory, tree].map(
      (path) => expect.stringContaining(`${path} is on a read-only file system`) as string,
    );
    expect(stderr.split('\n')).toEqual([...notes, '']);
  });

  test('refuses a directory that nobody can write to here, but that a process has', async () => {
    await using _lock = await lockDirectory(directory);
    mountReadOnly();
    expect(await run('verify', directory)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining(`${directory} is in use by this process`) as string,
    });
  });

  test('finds the data directory of a tree by whatever path it is given', async () => {
    await using _lock = await lockDirectory(directory);
    const link = join(directory, 'link');
    await symlink(join(directory, 'shards/2'), link);
    const before = process.cwd();
    onTestFinished(() => process.chdir(before));
    process.chdir(join(directory, 'shards/2'));
    for (const path of [link, '.', '../2']) {
      expect(await run('verify', path)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining(`${await realpath(directory)} is in use by`) as string,
      });
    }
  });

  test('refuses a directory in use, one that is none, and one without trees', async () => {
    await using _lock = await lockDirectory(directory);
    for (const path of [directory, join(directory, 'shards/2')]) {
      expect(await run('verify', path)).toMatchObject({
        status: 2,
        stdout: '',
        stderr: expect.stringContaining(`${directory} is in use by this process`) as string,
      });
    }
    const nowhere = join(directory, 'nowhere');
    expect((await run('verify', nowhere)).stderr).toBe(`quorate: there is no ${nowhere}\n`);
    const file = join(directory, 'shards/2/CURRENT');
    for (const command of ['verify', 'dump', 'stats']) {
      expect(await run(command, file)).toMatchObject({
        status: 2,
        stderr: `quorate: ${file} is a file, not a directory\n`,
      });
    }
    expect((await run('stats', join(directory, 'shards'))).stderr).toContain('is no data directory');
  });
});

describe('quorate storage dump', () => {
  test('prints entries of all versions in order', async () => {
    const { status, stdout } = await run('dump', join(directory, 'shards/2'));
    expect(status).toBe(0);
    expect(stdout).toBe('gone\t8\tdelete\t\nkey\t7\tput\tnew\\n\nkey\t6\tput\told\norder/2\t5\tput\tpaid\n');
  });

  test('prints deleted ranges before them, as far as they are within the bounds', async () => {
    const tree = join(directory, 'shards/2');
    {
      await using opened = await Tree.open(tree, treeResources(new NodeDisk()));
      const batch = new TreeBatch().deleteRange(utf8('h'), utf8('l'), Timestamp(9));
      opened.write(batch.deleteRange(utf8('a'), utf8('i'), Timestamp(10)), LogIndex(5));
      await opened.flush();
    }
    const { stdout } = await run('dump', tree, '--start', 'b', '--end', 'key');
    expect(stdout).toBe(
      'b\t10\tdeleteRange\th\nh\t10\tdeleteRange\ti\nh\t9\tdeleteRange\ti\ni\t9\tdeleteRange\tkey\ngone\t8\tdelete\t\n',
    );
    const limited = await run('dump', tree, '--limit', '1', '--json');
    expect(JSON.parse(limited.stdout)).toEqual({ tree, key: 'a', version: 10, kind: 'deleteRange', end: 'h' });
    expect((await run('stats', tree)).stdout).toMatch(/\n *0 +3 +4 +4 +1 +4 +\d+ B /);
    expect((await run('verify', tree)).stdout).toContain('sound');
  });

  test('prints a part of them, as JSON', async () => {
    const { stdout } = await run('dump', directory, '--start', 'key', '--end', 'order', '--limit', '3', '--json');
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { tree: join(directory, 'shards/2'), key: 'key', version: 7, kind: 'put', value: 'new\n' },
      { tree: join(directory, 'shards/2'), key: 'key', version: 6, kind: 'put', value: 'old' },
      { tree: join(directory, 'shards/10'), key: 'key', version: 7, kind: 'put', value: 'new\n' },
    ]);
  });

  test('names a damaged table, and goes on with the others', async () => {
    const file = join(directory, 'shards/2/000002.sst');
    await flip(file, 3);
    const { status, stdout, stderr } = await run('dump', directory);
    expect(status).toBe(1);
    expect(stdout).toBe(
      'gone\t8\tdelete\t\nkey\t7\tput\tnew\\n\n' +
        'gone\t8\tdelete\t\nkey\t7\tput\tnew\\n\nkey\t6\tput\told\norder/10\t5\tput\tpaid\n',
    );
    const message = `${file} is damaged at offset 0: a block does not match its checksum`;
    expect(stderr).toBe(`quorate: ${message}\n`);
    expect(JSON.parse((await run('dump', directory, '--json')).stderr)).toEqual({ error: { message } });
  });

  test('names each damage once, and goes on with the next tree', async () => {
    const file = join(directory, 'shards/2/000004.sst');
    const { length } = await readFile(file);
    await truncate(file, length - 10);
    await flip(join(directory, 'shards/10/manifest-000001'), 40);
    const { status, stdout, stderr } = await run('dump', directory);
    expect({ status, stdout }).toEqual({ status: 1, stdout: 'key\t6\tput\told\norder/2\t5\tput\tpaid\n' });
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringContaining('shards/2/000004.sst is damaged at offset'),
      expect.stringContaining('shards/10/manifest-000001 is damaged at offset 33'),
    ]);
  });
});

describe('quorate storage stats', () => {
  test('prints what each level holds, and what is not part of a tree', async () => {
    await appendFile(join(directory, 'shards/10/000099.sst'), 'left behind');
    const { status, stdout } = await run('stats', directory);
    expect(status).toBe(0);
    expect(stdout).toMatch(/shards\/2: log applied up to 4, .*manifest-000001\n/);
    expect(stdout).toMatch(/\n *0 +2 +4 +4 +1 +0 +\d+ B +\d+ B +\d+ B +\d+ B\n/);
    expect(stdout).toMatch(/not part of it: .*shards\/10\/000099.sst\n/);
    const { trees } = JSON.parse((await run('stats', directory, '--json')).stdout) as {
      trees: { levels: unknown[] }[];
    };
    expect(trees).toHaveLength(2);
    expect(trees[0].levels).toEqual([
      expect.objectContaining({
        level: 0,
        tables: 2,
        entries: 4,
        keys: 4,
        tombstones: 1,
        rangeTombstones: 0,
        rawBytes: 28,
      }),
    ]);
  });

  test('names a tree whose manifest is damaged, and prints the others', async () => {
    await flip(join(directory, 'shards/2/manifest-000001'), 40);
    const { status, stdout, stderr } = await run('stats', directory);
    expect(status).toBe(1);
    expect(stderr).toContain('shards/2/manifest-000001 is damaged at offset 33');
    expect(stdout).toMatch(/^\S+shards\/10: log applied up to 4/);
    const shown = await run('stats', directory, '--json');
    expect(shown.status).toBe(1);
    expect((JSON.parse(shown.stdout) as { trees: unknown[] }).trees).toHaveLength(1);
  });
});
