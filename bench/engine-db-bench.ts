/** RocksDB's own benchmark, where it is installed (Debian: rocksdb-tools). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface DbBenchOptions {
  readonly directory: string;
  readonly keys: number;
  readonly valueBytes: number;
  readonly batch: number;
  readonly reads: number;
  readonly cacheBytes: number;
}

/** Our names of what it measures. */
const benchmarks: Readonly<Record<string, string>> = {
  fillseq: 'fill sequential',
  overwrite: 'overwrite',
  readrandom: 'get cached',
  readmissing: 'get missing',
  seekrandom: 'seek',
  readseq: 'scan forward',
  readreverse: 'scan reverse',
};

/** Operations a second by our names; undefined where it is not installed. */
export async function runDbBench(options: DbBenchOptions): Promise<ReadonlyMap<string, number> | undefined> {
  const common = [
    `--db=${options.directory}`,
    `--num=${options.keys}`,
    `--reads=${options.reads}`,
    '--key_size=16',
    `--value_size=${options.valueBytes}`,
    `--batch_size=${options.batch}`,
    `--cache_size=${options.cacheBytes}`,
    '--bloom_bits=10',
    '--threads=1',
    '--compression_ratio=0.5',
    '--compression_type=snappy',
  ];
  try {
    const filled = await run([...common, '--benchmarks=fillrandom']);
    const rest = await run([
      ...common,
      '--use_existing_db=1',
      '--benchmarks=overwrite,waitforcompaction,readrandom,readrandom,readmissing,seekrandom,readseq,readreverse',
    ]);
    const sequential = await run([...common, '--benchmarks=fillseq']);
    return new Map([
      ...parseDbBench(rest),
      ...parseDbBench(sequential),
      ...parseDbBench(filled, { fillrandom: 'fill random' }),
    ]);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function run(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('db_bench', [...args], { maxBuffer: 1 << 24 });
  return stdout;
}

/** Lines like `readrandom   :       2.345 micros/op 426439 ops/sec …`; of several of one name the last counts. */
export function parseDbBench(
  output: string,
  names: Readonly<Record<string, string>> = benchmarks,
): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, name, perSecond] of output.matchAll(/^(\w+)\s*:\s*[\d.]+ micros\/op (\d+) ops\/sec/gm)) {
    if (name in names) found.set(names[name], Number(perSecond));
  }
  return found;
}
