/**
 * The suite of a large tree: how long it takes to open in a process that has just started, until the first get answers.
 *
 * The tree is made of tables that are ingested, of values that do not compress; its files are in the operating system's
 * cache as far as that has room. What Node takes to start and to load the code is not counted.
 */
import { fork } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { Prng } from '../src/base/prng.js';
import { SstableWriter } from '../src/lsm/sstable/sstable-writer.js';
import { tableOptions, treeOptions } from '../src/lsm/tree-options.js';
import { LogIndex, openTree, type Tree } from '../src/node/open-tree.js';
import { NodeDisk } from '../src/platform/disk.js';
import { key16 } from './engine-data.js';
import type { OpenOrder, OpenReport } from './engine-open-process.js';
import { percentile, type Row, type SuiteOptions } from './measure.js';

const opens = 5;
const tablesTogether = 100;
const textBytes = 16 * 1024 * 1024;

export async function engineOpen(options: SuiteOptions): Promise<Row[]> {
  const { quick, progress, gigabytes = quick ? 1 : 10, valueBytes = 1024 } = options;
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-'));
  const directory = join(folder, 'tree');
  try {
    const keys = Math.ceil((gigabytes * 1e9) / (valueBytes + 16));
    await fill(directory, join(folder, 'ingested'), { keys, valueBytes, progress });
    const reports: OpenReport[] = [];
    for (let n = 0; n < opens; n++) {
      progress(`opening, ${n + 1} of ${opens}`);
      reports.push(await openInProcess({ directory, key: Math.floor((keys * (n + 0.5)) / opens) }));
    }
    const name = `${gigabytes} GB, values of ${valueBytes} B`;
    const row = (what: string, unit: string, samples: readonly number[]): Row => ({
      name: `${name}: ${what}`,
      unit,
      ours: percentile(samples, 0.5),
      samples,
    });
    return [
      { ...row('table files', 'MB', [Math.round(reports[0].bytes / 1e6)]) },
      { ...row('tables', 'tables', [reports[0].tables]) },
      row(
        'open',
        'ms',
        reports.map(({ openMs }) => openMs),
      ),
      row(
        'open, until the first get answers',
        'ms',
        reports.map(({ firstGetMs }) => firstGetMs),
      ),
      row(
        'RSS after the first get',
        'MiB',
        reports.map(({ rssMib }) => rssMib),
      ),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fill(
  directory: string,
  ingested: string,
  { keys, valueBytes, progress }: { keys: number; valueBytes: number; progress: (text: string) => void },
): Promise<void> {
  const disk = new NodeDisk();
  const options = treeOptions({ compressionLevelMin: 7 });
  const text = new Prng(1).bytes(Math.max(textBytes, 2 * valueBytes));
  const tree = await openTree(directory, options);
  try {
    for (let n = 0; n < keys;) {
      progress(`filling, ${n} of ${keys} keys`);
      await mkdir(ingested);
      const paths: string[] = [];
      while (n < keys && paths.length < tablesTogether) {
        const number = paths.length + 1;
        const path = join(ingested, `${number}.sst`);
        const writer = await SstableWriter.create(disk, path, number, tableOptions(options, 6));
        for (; n < keys && writer.bytes < options.sstableBytesTarget; n++) {
          const at = (n * 7919) % (text.length - valueBytes);
          await writer.add(key16(n), tree.appliedIndex + 1, 'put', text.subarray(at, at + valueBytes));
        }
        await writer.finish();
        paths.push(path);
      }
      await tree.ingest(paths, LogIndex(tree.appliedIndex + 1));
      await rm(ingested, { recursive: true });
    }
    await settled(tree);
  } finally {
    await tree.close();
  }
}

/** When nothing was moved or merged for a while. */
async function settled(tree: Tree): Promise<void> {
  for (let quiet = 0, before = -1; quiet < 5;) {
    await setTimeout(100);
    const { count, movedTables, backlogBytes } = tree.metrics().compactions;
    quiet = backlogBytes === 0 && count + movedTables === before ? quiet + 1 : 0;
    before = count + movedTables;
  }
}

function openInProcess(order: OpenOrder): Promise<OpenReport> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('./engine-open-process.js', import.meta.url), [JSON.stringify(order)]);
    let report: OpenReport | undefined;
    child.on('message', (told: OpenReport) => (report = told));
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0 && report !== undefined) resolve(report);
      else reject(new Error(`opening ended with exit code ${code}`));
    });
  });
}
