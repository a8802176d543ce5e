/** `quorate storage` on a tree that has large values in files of their own. */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { NodeDisk } from '../../src/platform/disk.js';
import { Tree } from '../../src/lsm/tree.js';
import { put, treeResources } from '../lsm/harness.js';
import { flip, runStorage as run } from './storage-run.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quorate-storage-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('a tree with value files', () => {
  const values = { a: 'x'.repeat(300), b: 'y'.repeat(300), c: 'z'.repeat(300) };
  let tree: string;
  /** Of tables and value files: `a` and `b` are in the first ones, `b` again and `c` in the second. */
  let files: { readonly first: string; readonly firstValues: string; readonly secondValues: string };

  beforeEach(async () => {
    tree = join(directory, 'tree');
    const options = { largeValueBytesMin: 200, level0TablesCompact: 9, compressionLevelMin: 7 };
    await using made = await Tree.create(tree, treeResources(new NodeDisk()), options);
    put(made, 'a', 5, values.a);
    put(made, 'b', 5, values.a);
    put(made, 'small', 5, 'small');
    await made.flush();
    put(made, 'b', 6, values.b);
    put(made, 'c', 6, values.c);
    await made.flush();
    const names = (await readdir(tree)).filter((name) => /\.(sst|val)$/.test(name)).sort();
    const [first, firstValues, , secondValues] = names.map((name) => join(tree, name));
    files = { first, firstValues, secondValues };
  });

  test('is counted with them by stats and verify', async () => {
    const sound = await run('verify', tree);
    expect(sound).toMatchObject({ status: 0, stderr: '' });
    expect(sound.stdout).toMatch(/\/tree +2 +2 +[\d.]+ \w+ {2}sound\n/);
    expect((await run('stats', tree)).stdout).toMatch(/\nvalue files: 2, .* of which 0 B that no table points to\n/);
    const { trees } = JSON.parse((await run('stats', tree, '--json')).stdout) as { trees: unknown[] };
    expect(trees).toMatchObject([{ values: { files: 2, fileBytes: expect.any(Number) as number, garbageBytes: 0 } }]);
  });

  test('is verified with one line for each damaged file, and goes on after it', async () => {
    await flip(files.firstValues, 30);
    await rm(files.secondValues);
    // After what its pointers point to.
    const { length } = await readFile(files.first);
    await flip(files.first, length - 90);
    const { status, stdout } = await run('verify', tree);
    expect(status).toBe(1);
    const lines = stdout.split('\n').filter((line) => line.includes('is damaged at offset'));
    expect(lines).toEqual([
      expect.stringContaining(`${files.firstValues} is damaged at offset 20: a value does not match its checksum`),
      expect.stringContaining(`${files.secondValues} is damaged at offset 0: the value file is missing`),
      expect.stringContaining(`${files.first} is damaged`),
    ]);
  });

  test('is dumped with its values, without those that are damaged', async () => {
    const all = ['a\t5', 'b\t6', 'b\t5', 'c\t6', 'small\t5'];
    const shown = (stdout: string): string[] =>
      stdout
        .trim()
        .split('\n')
        .map((line) => line.replace(/\tput.*/, ''));
    const sound = await run('dump', tree);
    expect(sound.status).toBe(0);
    expect(sound.stdout).toContain(`b\t6\tput\t${values.b}\n`);
    expect(shown(sound.stdout)).toEqual(all);
    // One of the two values of the first file.
    await flip(files.firstValues, 30);
    const damaged = await run('dump', tree);
    expect(damaged.status).toBe(1);
    expect(shown(damaged.stdout)).toEqual(all.filter((line) => line !== 'a\t5'));
    expect(damaged.stderr.trim().split('\n')).toEqual([
      expect.stringContaining(`${files.firstValues} is damaged at offset 20`),
    ]);
    await rm(files.secondValues);
    const missing = await run('dump', tree);
    expect(shown(missing.stdout)).toEqual(['b\t5', 'small\t5']);
    expect(missing.stderr.trim().split('\n')).toHaveLength(2);
  });
});
