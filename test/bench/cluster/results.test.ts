import { expect, test } from 'vitest';
import { ratioOf, rounded, rowsOf, type Measured, type Measurement } from '../../../bench/cluster/results.js';
import { rowsOf as sustainedRows } from '../../../bench/cluster/sustained.js';
import { htmlReport } from '../../../bench/cluster/html-report.js';
import type { ProcessUsage } from '../../../bench/cluster/usage.js';

const machine = { cpu: 'A & B', cores: 2, memoryGiB: 24, node: 'v20', os: 'linux' };

const usage: ProcessUsage = {
  name: 'node 1',
  cpuPercent: 50,
  cpuMs: 100,
  syncsPerSecond: 20,
  gcPercent: 2,
  loopDelayP99Ms: 3,
  loopDelayMsMax: 4,
  rssMib: 99,
};

function measurement(perSecond: number, p50Ms: number): Measurement {
  const outcome = { perSecond, operations: 1000, payloadBytes: 1000, p50Ms, p99Ms: 10 * p50Ms, p999Ms: 20 * p50Ms };
  return { outcome, usage: [usage, { ...usage, cpuMs: 300 }], diskWrittenBytes: 6000, generatorCpuMs: 50 };
}

const measured: Measured = {
  scenario: {
    part: 'unary',
    name: 'put <1>',
    unit: 'operations/s',
    place: { plot: 'put', line: 'unary', at: 64 },
  },
  ours: [measurement(900, 3), measurement(1000, 2), measurement(5000, 1)],
  theirs: [measurement(400, 8), measurement(500, 4), measurement(800, 5)],
  rival: 'etcd',
  isBorrowed: false,
};

test('rows have medians of the rounds, and ratios of them that are above 1 where ours is better', () => {
  const rows = rowsOf(measured);
  expect(rows[0]).toEqual({
    name: 'put <1>',
    unit: 'operations/s',
    ours: 1000,
    samples: [900, 1000, 5000],
    rival: 'etcd',
    theirs: 500,
    theirSamples: [400, 500, 800],
    ratio: 2,
  });
  expect(rows[1]).toMatchObject({ name: 'put <1>, p50', unit: 'ms', ours: 2, theirs: 5, ratio: 2.5 });
  const byName = new Map(rows.map((row) => [row.name, row]));
  expect(byName.get('put <1>, processor time of all nodes')).toMatchObject({ ours: 400, unit: 'µs/operation' });
  expect(byName.get('put <1>, written by the disk for each byte of keys and values')).toMatchObject({ ours: 6 });
  expect(byName.get('put <1>, process 1: processor time')).toMatchObject({ ours: 100, theirs: 100, isDetail: true });
  expect(byName.get('put <1>, process 2: processor time')).toMatchObject({ ours: 300, unit: 'µs/operation' });
  expect(byName.get('put <1>, generator: processor time')).toMatchObject({ ours: 50, theirs: 50, isDetail: true });
  expect(byName.get('put <1>, process 2: syncs')).toMatchObject({ ours: 20, theirs: 20, isDetail: true });
});

test('without a rival there is no ratio; of one round there are no samples', () => {
  const [row] = rowsOf({ ...measured, ours: [measurement(900, 3)], theirs: [] });
  expect(row).toEqual({ name: 'put <1>', unit: 'operations/s', ours: 900 });
});

test('where no operation was done there are rows of the rate and of what was lost, none of latencies or for each operation', () => {
  const { outcome, ...rest } = measurement(0, NaN);
  const nothing = { ...rest, outcome: { ...outcome, operations: 0, payloadBytes: 0, lost: 7 } };
  const rows = rowsOf({ ...measured, ours: [nothing], theirs: [] });
  expect(rows.filter(({ isDetail }) => isDetail !== true).map(({ name, ours }) => [name, ours])).toEqual([
    ['put <1>', 0],
    ['put <1>, lost', 7],
  ]);
  expect(rows.every(({ ours }) => Number.isFinite(ours))).toBe(true);
  expect(() => htmlReport({ suite: 'cluster', machine, rows }, [{ ...measured, ours: [nothing] }])).not.toThrow();
});

test("what stands beside figures of another scenario does not repeat the rival's processes", () => {
  const rows = rowsOf({ ...measured, isBorrowed: true });
  expect(rows.find(({ name }) => name.endsWith('process 1: RSS'))).not.toHaveProperty('theirs');
  expect(rows.find(({ name }) => name.endsWith('generator: processor time'))).not.toHaveProperty('theirs');
  expect(rows[0]).toHaveProperty('theirs', 500);
});

test('a ratio of nothing is none', () => {
  expect(ratioOf({ ours: 0, theirs: 5 }, true)).toEqual({});
  expect(ratioOf({ ours: NaN, theirs: 5 }, true)).toEqual({});
  expect(ratioOf({ ours: 4, theirs: 2 }, false)).toEqual({ ratio: 0.5 });
  expect([rounded(1234.56), rounded(0.012345), rounded(0)]).toEqual([1235, 0.0123, 0]);
});

test('the page has the plots of both systems, the ratios, and no markup from names', () => {
  const page = htmlReport({ suite: 'cluster', machine, rows: [] }, [measured]);
  expect(page).toContain('A &amp; B, 2 cores');
  expect(page).toContain('Quorate, unary');
  expect(page).toContain('etcd, unary');
  expect(page).toContain('put &lt;1&gt;');
  expect(page).not.toContain('<1>');
  expect(page).toContain('<span class="better">2 ×</span>');
});

test('a sustained run is judged by its slowest second and its last minute', () => {
  const perSecond = [...new Array<number>(60).fill(100), ...new Array<number>(59).fill(80), 20];
  const timeline = { perSecond, p50Ms: 2, p999Ms: 15, longestMs: 40, failed: 0 };
  const rows = new Map(sustainedRows('run', timeline, [usage], 0).map(({ name, ours }) => [name, ours]));
  expect(rows.get('run, slowest second')).toBe(20);
  expect(rows.get('run, last minute, part of the first')).toBe(79);
  expect(rows.get('run, p99.9 in medians')).toBe(7.5);
});
