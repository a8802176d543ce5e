/** A disk without space: writes are refused, reads go on, and with space again nothing acknowledged is missing. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuorateError } from 'quorate';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { isWhole, skipTest, startProcesses, until, untilStatus } from './support.js';

const kib = 1024;
const mib = 1024 * kib;
const diskBytes = 24 * mib;
const valueBytes = 32 * kib;
const ballastBytes = 8 * mib;
/** Small beside the disk. */
const limits = { valueBytesMax: 64 * kib, entryBytesMax: 256 * kib };
/** Who meets the full disk first. */
const cases = [
  ['the tables', { ...limits, segmentBytesMax: mib, logBytesFlush: 4 * mib, memtableBytesMax: mib }],
  ['the log', { ...limits, segmentBytesMax: 16 * mib, logBytesFlush: 64 * mib, memtableBytesMax: 64 * mib }],
] as const;

let folder = '';
let directory = '';
let isMounted = false;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-full-disk-'));
  directory = join(folder, 'node-1');
  mkdirSync(directory);
  isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', directory]).status === 0;
});

afterEach(() => {
  if (isMounted) spawnSync('umount', [directory]);
  rmSync(folder, { recursive: true });
});

describe.each(cases)('a disk that is too full for %s', (_, limitsOfCase) => {
  test('has writes refused while reads go on; with space again everything is there', async (context) => {
    if (!isMounted) skipTest(context, 'needs the right to mount a tmpfs');
    const ballast = join(directory, 'ballast');
    writeFileSync(ballast, Buffer.alloc(ballastBytes));
    await using cluster = await startProcesses({ folder, nodes: 1, shards: 2, settings: { limits: limitsOfCase } });
    const { client, processes } = cluster;
    const node = processes.node(1);
    const { pid } = node;
    const acknowledged = new Map<string, Buffer>();
    const random = new Prng(1);

    async function write(i: number): Promise<QuorateError | undefined> {
      const key = `${i % 2 === 0 ? '0' : 'm'}/${i}`;
      // Noise takes as much in tables, which are compressed.
      const value = Buffer.from(random.bytes(valueBytes));
      try {
        await client.put(key, value);
        acknowledged.set(key, value);
        return undefined;
      } catch (error) {
        if (error instanceof QuorateError) return error;
        throw error;
      }
    }

    let refusal: QuorateError | undefined;
    let next = 0;
    while (refusal === undefined && next < diskBytes / valueBytes) refusal = await write(next++);
    expect(refusal).toMatchObject({ code: 'DISK_FULL', outcome: 'notApplied', retryable: false });
    expect(refusal?.shard).toBeDefined();
    for (const [key, value] of acknowledged) {
      const found = await client.get(key);
      expect(found.type === 'found' && value.equals(found.value)).toBe(true);
    }
    expect(node.pid).toBe(pid);

    rmSync(ballast);
    await until('a write that is taken', 20_000, async () => (await write(next++)) === undefined);
    expect(node.pid).toBe(pid);
    await node.signal('SIGKILL');
    node.start();
    await untilStatus(client, 'a node that is whole', isWhole);
    const found = new Map<string, Buffer>();
    for await (const { key, value } of client.scan()) found.set(Buffer.from(key).toString(), Buffer.from(value));
    expect([...found.keys()].sort()).toEqual([...acknowledged.keys()].sort());
    expect([...found].every(([key, value]) => acknowledged.get(key)?.equals(value))).toBe(true);
  }, 90_000);
});
