/**
 * The engine suite: the tree by itself against LevelDB and, where it is installed, RocksDB's db_bench, part by part in turn.
 *
 * Keys have 16 bytes; values can be compressed to half. Writes go in batches of 100, by one thread; nothing is synced but at
 * the end of a fill. What a write costs and what is counted:
 *
 * - Our tree has no log of its own, in a node either (the Raft log is one); RocksDB's is switched off; LevelDB's cannot be.
 * - A fill ends when everything is on disk: ours and RocksDB's are flushed, LevelDB's log is synced. What compactions still
 *   have to do then is not counted, but writes wait where these fall too far behind. "Until compactions are done" counts
 *   that, too: it is the rate that can be kept up. LevelDB and ours are done when they were for 150 ms.
 * - Memory: two memtables of 64 MiB, which are RocksDB's defaults.
 *   One thread compacts, for each.
 *
 * Reads are made when compactions are done, of 200 000 keys: "cached" with a block cache for everything, and blocks that
 * have been read before; "hot" of 5000 keys again and again; "uncached" with a block cache of a fiftieth of the data (files
 * stay in the operating system's cache). "Queue" puts a batch at the back, deletes one at the front and looks for the first
 * key, among 10 000. After deletes the tombstones are there still, but for "settled".
 *
 * Beside the rate by the clock is the time of all cores, which other load on the machine changes less; "RSS max" is of a
 * part's process, with the runtime and what the suite itself holds (about 80 MiB).
 */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { InvalidArgumentError } from 'commander';

import { classicLevelStore } from './engine-classic-level.js';
import { dbBenchIsInstalled, runDbBench } from './engine-db-bench.js';
import { partNames, type Figure, type PartName, type Sizes, type Unit } from './engine-parts.js';
import type { PartOrder, PartReport } from './engine-process.js';
import { quorateStore } from './engine-quorate.js';
import type { Row, SuiteOptions } from './measure.js';

/** Work on the data that `random` makes. */
const needRandom: readonly PartName[] = ['overwrite', 'cached', 'uncached'];

export async function engine(options: SuiteOptions): Promise<Row[]> {
  const { quick, progress, keys = quick ? 100_000 : 500_000, valueBytes = 256, largeValueBytesMin } = options;
  const sizes: Sizes = { keys, valueBytes, reads: Math.min(keys, quick ? 50_000 : 200_000), largeValueBytesMin };
  const suffix = `, ${valueBytes} B${largeValueBytesMin === undefined ? '' : ` from ${largeValueBytesMin} on apart`}`;
  const hasRocks = await dbBenchIsInstalled();
  if (!hasRocks) progress('db_bench is not on the PATH (Debian: rocksdb-tools): no comparison with RocksDB');
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-'));
  try {
    const rows: Row[] = [];
    for (const part of partsOf(options.only)) {
      const directory = (name: string): string => join(folder, name, needRandom.includes(part) ? 'random' : part);
      const figuresOf = (store: string): Promise<readonly Figure[]> =>
        runPart({ store, part, directory: directory(store), sizes }, (text) => progress(`${store}: ${text}`));
      const ours = await figuresOf(quorateStore.name);
      const theirs = new Map([[classicLevelStore.name, await figuresOf(classicLevelStore.name)]]);
      if (hasRocks) {
        progress(`RocksDB: ${part}`);
        theirs.set('RocksDB', await runDbBench(part, directory('rocksdb'), sizes));
      }
      rows.push(...ours.flatMap((figure) => rowsOf(figure, theirs, suffix)));
      if (!needRandom.includes(part) && part !== 'random') {
        for (const store of [quorateStore.name, ...theirs.keys(), 'rocksdb'])
          await rm(directory(store), { recursive: true, force: true });
      }
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The parts that were asked for, and `random` where others need its data. */
function partsOf(only: readonly string[] | undefined): readonly PartName[] {
  if (only === undefined) return partNames;
  const unknown = only.filter((name) => !partNames.some((part) => part === name));
  if (unknown.length > 0) {
    throw new InvalidArgumentError(`no part ${unknown.join(', ')}; there are ${partNames.join(', ')}`);
  }
  const isWanted = (part: PartName): boolean => only.includes(part);
  return partNames.filter((part) => isWanted(part) || (part === 'random' && needRandom.some(isWanted)));
}

function runPart(order: PartOrder, progress: (text: string) => void): Promise<readonly Figure[]> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('./engine-process.js', import.meta.url), [JSON.stringify(order)]);
    let figures: readonly Figure[] | undefined;
    child.on('message', (report: PartReport) => {
      if (report.type === 'progress') progress(report.text);
      else figures = report.figures;
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0 && figures !== undefined) resolve(figures);
      else reject(new Error(`${order.part} of ${order.store} ended with exit code ${code}`));
    });
  });
}

function rowsOf(ours: Figure, theirs: ReadonlyMap<string, readonly Figure[]>, suffix: string): Row[] {
  const row = { name: ours.name + suffix, unit: ours.unit, ours: rounded(ours.value) };
  const compared: Row[] = [];
  for (const [rival, figures] of theirs) {
    const found = figures.find(({ name, unit }) => name === ours.name && unit === ours.unit);
    if (found === undefined) continue;
    const ratio = lessIsBetter(ours.unit) ? found.value / ours.value : ours.value / found.value;
    compared.push({ ...row, rival, theirs: rounded(found.value), ratio: rounded(ratio) });
  }
  return compared.length > 0 ? compared : [row];
}

function lessIsBetter(unit: Unit): boolean {
  return unit !== 'operations/s';
}

function rounded(figure: number): number {
  return Number(figure.toPrecision(figure >= 1000 ? 6 : 3));
}
