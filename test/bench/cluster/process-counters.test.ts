import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';
import {
  parseChildrenCpuMs,
  parseDiskWrittenBytes,
  parseProcessCounters,
  readChildrenCpuMs,
  readDiskWrittenBytes,
} from '../../../bench/cluster/process-counters.js';
import { metric } from '../../../bench/cluster/prometheus.js';
import { usageOf } from '../../../bench/cluster/usage.js';

const files = {
  stat: '4711 (node (serve) x) S 1 4711 4711 0 -1 4194304 100 0 0 0 1234 66 7 5 20 0 11 0 9999 1 2',
  status: 'Name:\tnode\nVmPeak:\t  1 kB\nVmRSS:\t  102400 kB\n',
};

test('counters of a process are read from /proc, whatever its program is called', () => {
  expect(parseProcessCounters(files)).toEqual({ cpuMs: 13_000, rssBytes: 104_857_600 });
});

test('processor time of children is counted when they have ended', () => {
  expect(parseChildrenCpuMs(files.stat)).toBe(120);
  const beforeMs = readChildrenCpuMs();
  spawnSync(process.execPath, ['-e', 'const end = Date.now() + 100; while (Date.now() < end);']);
  expect(readChildrenCpuMs() - beforeMs).toBeGreaterThanOrEqual(50);
});

test('a file without the counter is an error', () => {
  expect(() => parseProcessCounters({ ...files, status: '' })).toThrow('VmRSS');
});

test('what a disk was given to write is counted in sectors', () => {
  const stat =
    ' 2882530   227681 134954562  2865524 14530189  1757231 1183293032  3153904        0  2045608  7084408\n';
  expect(parseDiskWrittenBytes(stat)).toBe(1_183_293_032 * 512);
});

test('what is written and synced is counted by the disk, where there is one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-test-'));
  try {
    const before = readDiskWrittenBytes(folder);
    writeFileSync(join(folder, 'file'), new Uint8Array(4 * 2 ** 20).fill(1), { flush: true });
    const after = readDiskWrittenBytes(folder);
    if (before !== undefined) expect(Number(after) - before).toBeGreaterThanOrEqual(4 * 2 ** 20);
    else expect(after).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('usage is what two looks at the counters differ by', () => {
  const before = { cpuMs: 100, rssBytes: 1, syncs: 5, gcMs: 1 };
  const after = {
    cpuMs: 600,
    rssBytes: 2 ** 20,
    syncs: 25,
    gcMs: 21,
    loopDelayP99Ms: 3,
    loopDelayMsMax: 4,
  };
  expect(usageOf({ name: 'node 1', before, after, elapsedMs: 1000 })).toEqual({
    name: 'node 1',
    cpuPercent: 50,
    cpuMs: 500,
    syncsPerSecond: 20,
    gcPercent: 2,
    loopDelayP99Ms: 3,
    loopDelayMsMax: 4,
    rssMib: 1,
  });
});

test('a metric without labels is found by its whole name', () => {
  const page = '# TYPE wal_count counter\nwal_count_total 1\nwal_count 2.5e+03\n';
  expect(metric(page, 'wal_count')).toBe(2500);
  expect(() => metric(page, 'wal')).toThrow('no metric wal');
});
