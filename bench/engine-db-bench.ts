/** RocksDB's own benchmark, where it is installed (Debian: rocksdb-tools): its figures by our names. */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

import { batchOperations, bytesOf, cacheBytes, type Figure, type PartName, type Sizes } from './engine-parts.js';
import { memtableBytes } from './engine-store.js';

const mib = 1024 * 1024;

/** Of what one process runs, which is measured, by our names. Of several runs of one benchmark the last counts. */
interface DbBenchRun {
  readonly benchmarks: string;
  readonly names: Readonly<Record<string, string>>;
  readonly args?: (sizes: Sizes) => readonly string[];
  /** Name of the rate from the beginning of the first benchmark to the end of the last flush or compaction. */
  readonly untilSettled?: string;
}

const existing = ['--use_existing_db=1'];
/** As many as delete nine of ten keys, when they are drawn with repetition. */
const deletesPerKey = Math.log(10);

/**
 * What can be compared. Not `queue`, zipfian keys, or reads and writes in turn: db_bench has no such, or writes one key at a
 * time then.
 */
const runs: Readonly<Record<PartName, readonly DbBenchRun[]>> = {
  sequential: [{ benchmarks: 'fillseq,flush', names: { fillseq: 'fill sequential' } }],
  random: [
    {
      benchmarks: 'filluniquerandom,flush,waitforcompaction',
      names: { filluniquerandom: 'fill random' },
      untilSettled: 'fill random, until compactions are done',
    },
  ],
  overwrite: [
    {
      benchmarks: 'overwrite,flush,waitforcompaction',
      names: { overwrite: 'overwrite' },
      args: () => existing,
      untilSettled: 'overwrite, until compactions are done',
    },
  ],
  cached: [
    {
      benchmarks: 'readrandom,readrandom,readmissing,multireadrandom,seekrandom',
      names: {
        readrandom: 'get cached',
        readmissing: 'get missing',
        multireadrandom: 'get 100 at a time',
        seekrandom: 'seek',
      },
      args: ({ reads }) => [...existing, `--reads=${reads}`],
    },
    {
      benchmarks: 'readseq,readseq,readreverse',
      names: { readseq: 'scan forward', readreverse: 'scan reverse' },
      args: () => existing,
    },
  ],
  uncached: [
    {
      benchmarks: 'readrandom,readmissing,multireadrandom',
      names: {
        readrandom: 'get uncached',
        readmissing: 'get missing, uncached',
        multireadrandom: 'get uncached, 100 at a time',
      },
      args: ({ reads }) => [...existing, `--reads=${reads}`],
    },
  ],
  deletes: [
    { benchmarks: 'filluniquerandom,flush,waitforcompaction', names: {} },
    {
      benchmarks: 'deleterandom,flush,readseq',
      names: { deleterandom: 'delete 90 %', readseq: 'scan of what remains' },
      args: ({ keys }) => [...existing, `--deletes=${Math.round(keys * deletesPerKey)}`],
    },
  ],
  queue: [],
};

export async function dbBenchIsInstalled(): Promise<boolean> {
  try {
    await promisify(execFile)('db_bench', ['--version']);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

export async function runDbBench(part: PartName, directory: string, sizes: Sizes): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  mkdirSync(directory, { recursive: true });
  let rssMaxMib = 0;
  for (const { benchmarks, names, args, untilSettled } of runs[part]) {
    const ended = await run([
      `--db=${directory}`,
      `--num=${sizes.keys}`,
      '--key_size=16',
      `--value_size=${sizes.valueBytes}`,
      `--batch_size=${batchOperations}`,
      `--cache_size=${cacheBytes(part, sizes)}`,
      `--write_buffer_size=${memtableBytes}`,
      '--max_write_buffer_number=2',
      '--bloom_bits=10',
      '--threads=1',
      '--disable_wal=1',
      '--compression_ratio=0.5',
      '--compression_type=snappy',
      '--multiread_batched=1',
      '--seed=1',
      ...(args?.(sizes) ?? []),
      `--benchmarks=${benchmarks}`,
    ]);
    for (const [name, value] of parseDbBench(ended.output, names)) figures.push({ name, unit: 'operations/s', value });
    rssMaxMib = Math.max(rssMaxMib, ended.rssMaxMib);
    if (untilSettled !== undefined) {
      const [{ value: perSecond }] = figures;
      const workedMs = lastWorkMs(readFileSync(`${directory}/LOG`, 'utf8')) - ended.firstResultAtMs;
      const seconds = sizes.keys / perSecond + Math.max(0, workedMs) / 1000;
      figures.push({ name: untilSettled, unit: 'operations/s', value: sizes.keys / seconds });
    }
  }
  if (part === 'random') figures.push({ name: 'bytes on disk', unit: 'MiB', value: (await bytesOf(directory)) / mib });
  if (rssMaxMib > 0) figures.push({ name: `RSS max: ${part}`, unit: 'MiB', value: rssMaxMib });
  return figures;
}

interface Ended {
  readonly output: string;
  /** When the first benchmark had ended, since 1970. */
  readonly firstResultAtMs: number;
  /** 0 where the system does not tell. */
  readonly rssMaxMib: number;
}

function run(args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn('db_bench', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    let firstResultAtMs = 0;
    let rssMaxMib = 0;
    const timer = setInterval(() => (rssMaxMib = Math.max(rssMaxMib, rssMaxOf(child.pid))), 50);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (firstResultAtMs === 0 && output.includes(' micros/op ')) firstResultAtMs = Date.now();
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      if (code === 0) resolve({ output, firstResultAtMs, rssMaxMib });
      else reject(new Error(`db_bench ended with exit code ${code}: ${output.slice(-1000)}`));
    });
  });
}

/** When the last flush or compaction ended, since 1970, as RocksDB's own log says: `waitforcompaction` sleeps for seconds. */
export function lastWorkMs(log: string): number {
  let lastMicros = 0;
  for (const [, micros] of log.matchAll(/"time_micros": (\d+),.*"event": "(?:flush|compaction)_finished"/g))
    lastMicros = Math.max(lastMicros, Number(micros));
  return lastMicros / 1000;
}

/** The most memory that the process had until now, in MiB; Linux tells. */
function rssMaxOf(pid: number | undefined): number {
  try {
    const [, kib = '0'] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kib) / 1024;
  } catch {
    return 0;
  }
}

/** Lines like `readrandom   :       2.345 micros/op 426439 ops/sec …`; of several of one name the last counts. */
export function parseDbBench(output: string, names: Readonly<Record<string, string>>): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, name, perSecond] of output.matchAll(/^(\w+)\s*:\s*[\d.]+ micros\/op (\d+) ops\/sec/gm)) {
    if (name in names) found.set(names[name], Number(perSecond));
  }
  return found;
}
