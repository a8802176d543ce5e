/** One byte on a node's disk is not what was written: it is found and named, never served, and the others go on. */
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterProcess } from '../../jepsen-lite/cluster/process-cluster.js';
import { Prng } from '../../src/base/prng.js';
import { segmentHeaderBytes, batchHeaderBytes, recordHeaderBytes } from '../../src/log/segment-format.js';
import { rawClient, type RawClient } from '../rpc/harness.js';
import {
  isCaughtUp,
  logLines,
  startProcesses,
  until,
  untilServing,
  untilStatus,
  type RunningCluster,
} from './support.js';

const kib = 1024;
/** Small, so that there are tables and several segments. */
const limits = {
  valueBytesMax: 64 * kib,
  entryBytesMax: 256 * kib,
  segmentBytesMax: 1024 * kib,
  memtableBytesMax: 256 * kib,
};

let cluster: RunningCluster;
let node: ClusterProcess;
const written = new Map<string, Buffer>();

beforeAll(async () => {
  cluster = await startProcesses({ shards: 2, settings: { limits } });
  node = cluster.processes.node(3);
  const random = new Prng(1);
  for (let i = 0; i < 600; i += 50) {
    const operations = Array.from({ length: 50 }, (_, j) => {
      const key = `${(i + j) % 2 === 0 ? '0' : 'm'}/${String(i + j).padStart(4, '0')}`;
      // Of noise, so that files stay as large as what is in them. Half of the values are large ones, in files of their own.
      const value = Buffer.from(random.bytes(j % 4 < 2 ? 2 * kib : 4 * kib));
      written.set(key, value);
      return { type: 'put', key, value } as const;
    });
    for (const result of await cluster.client.batch(operations)) expect(result.type).toBe('written');
  }
  await untilStatus(cluster.client, 'replicas that have applied the same', isCaughtUp);
  expect(await node.signal('SIGTERM')).toEqual({ status: 0, signal: null });
}, 60_000);

afterAll(() => cluster[Symbol.asyncDispose]());

/** Changes one byte of a file; call the result to change it back, if the file is still there. */
function flip(file: string, offset: number): () => void {
  const change = (): void => {
    if (!existsSync(file)) return;
    const fd = openSync(file, 'r+');
    try {
      expect(offset).toBeLessThan(fstatSync(fd).size);
      const byte = Buffer.alloc(1);
      readSync(fd, byte, 0, 1, offset);
      byte[0] ^= 0x10;
      writeSync(fd, byte, 0, 1, offset);
    } finally {
      closeSync(fd);
    }
  };
  change();
  return change;
}

function filesOf(folder: string, pattern: RegExp): string[] {
  const directory = join(node.dataDirectory, folder);
  return readdirSync(directory)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(directory, name));
}

/** What the process said when it ended. */
function lastWords(): string {
  return node.log.trimEnd().split('\n').at(-1) ?? '';
}

/** Reads everything from the replicas of the node itself into `served`. */
async function readReplica(raw: RawClient, served: Map<string, Buffer>): Promise<void> {
  for await (const page of raw.scan({ consistency: 'CONSISTENCY_STALE' }, { deadline: Date.now() + 5000 })) {
    const { records } = page as { records: { key: Buffer; value: Buffer }[] };
    for (const { key, value } of records) served.set(key.toString(), value);
  }
}

async function othersServe(): Promise<void> {
  const { client } = cluster;
  for (const key of ['0/others', 'm/others']) {
    await client.put(key, 'here', { deadlineMs: 10_000 });
    expect(await client.get(key)).toMatchObject({ type: 'found' });
    await client.delete(key);
  }
}

describe('a node refuses to start on a byte that changed', () => {
  test.each<[string, () => string, number, number]>([
    ['in its identity', () => join(node.dataDirectory, 'IDENTITY'), 20, 0],
    ['in the manifest of a shard', () => filesOf('shards/1', /^manifest-/)[0], 30, 20],
    ['in the file that names the manifest', () => join(node.dataDirectory, 'shards/1/CURRENT'), 3, 0],
    [
      'in a record of the log that is not the last',
      () => filesOf('log', /\.log$/)[0],
      segmentHeaderBytes + batchHeaderBytes + recordHeaderBytes + 2,
      segmentHeaderBytes + batchHeaderBytes,
    ],
    ['in the header of a log segment', () => filesOf('log', /\.log$/)[0], 20, 0],
  ])('%s, naming file and offset', async (_, fileOf, offset, namedOffset) => {
    const file = fileOf();
    const restore = flip(file, offset);
    try {
      node.start();
      expect(await node.exited).toEqual({ status: 2, signal: null });
      expect(lastWords()).toContain(`${file} is damaged at offset ${namedOffset}`);
      expect(lastWords()).toContain('see "Damaged files" in docs/operations.md');
      await othersServe();
    } finally {
      restore();
    }
  });
});

describe('a byte that changed', () => {
  test.each([
    ['table', /\.sst$/],
    ['value file', /\.val$/],
  ])(
    'in a %s is found by the read that meets it: the node serves nothing of it, and stops',
    async (_, pattern) => {
      // In the middle of a large file are records. An end in the middle of a compaction may leave a file that the next
      // start removes; so each is damaged.
      const files = filesOf('shards/1', pattern).filter((file) => statSync(file).size > 64 * kib);
      expect(files).not.toEqual([]);
      const restores = files.map((file) => flip(file, Math.floor(statSync(file).size / 2)));
      const linesBefore = logLines(node).length;
      const served = new Map<string, Buffer>();
      let hasEnded = false;
      try {
        node.start();
        void node.exited.then(() => {
          hasEnded = true;
        });
        const raw = rawClient(node.endpoint);
        await untilServing(node, linesBefore);
        // Reads of this replica alone; it answers as soon as it knows how current it is.
        await until('a read to meet the damage', 20_000, async () => {
          await readReplica(raw, served).catch(() => undefined);
          return hasEnded;
        });
        raw.close();
        expect(await node.exited).toEqual({ status: 2, signal: null });
        const [, damaged] = /^quorate: the node stopped: (.*) is damaged at offset \d+/.exec(lastWords()) ?? [];
        expect(files).toContain(damaged);
        for (const [key, value] of served) expect(value.equals(written.get(key) ?? Buffer.alloc(0))).toBe(true);
        await othersServe();
      } finally {
        for (const restore of restores) restore();
      }
    },
    60_000,
  );

  test('is repaired, and the node catches up and serves everything', async () => {
    node.start();
    await untilStatus(cluster.client, 'replicas that have applied the same', isCaughtUp);
    const raw = rawClient(node.endpoint);
    const served = new Map<string, Buffer>();
    await readReplica(raw, served);
    raw.close();
    expect([...served.keys()].sort()).toEqual([...written.keys()].sort());
    expect([...served].every(([key, value]) => written.get(key)?.equals(value))).toBe(true);
  }, 60_000);
});
