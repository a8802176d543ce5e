/**
 * `npm run sim:engine`: the storage engine by itself under random operations and faults, a simulated machine for each
 * seed; with `--disk`, one tree on a real disk instead. A line of JSON for each seed; exit status 0 when none failed.
 */
import { Command, InvalidArgumentError } from 'commander';
import { openTree } from '../node/open-tree.js';
import { systemRandomSeed } from '../platform/random.js';
import { runTurns } from '../platform/turns.js';
import { runOnDisk } from '../sim/engine/disk-run.js';
import { simulateEngine } from '../sim/engine/engine-run.js';

interface Options {
  readonly seed: number | undefined;
  readonly seeds: number | undefined;
  readonly minutes: number | undefined;
  readonly operations: number;
  readonly disk: string | undefined;
  readonly keys: number;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('expected a number above 0.');
  return value;
}

const program = new Command('sim:engine')
  .description('Runs the storage engine under random operations and faults, and compares it with a model.')
  .option('--seed <s>', 'the first seed; the others follow it (default: random)', positive)
  .option('--seeds <n>', 'how many seeds to run (default: 100, or what the time allows)', positive)
  .option('--minutes <m>', 'begin no seed after so many minutes; with --disk, how long (default: 1)', positive)
  .option('--operations <n>', 'operations for each seed', positive, 600)
  .option('--disk <directory>', 'one tree in this folder, on a real disk, with a bound on memory')
  .option('--keys <n>', 'with --disk: distinct keys, of about 350 bytes each', positive, 500_000);

program.parse();
const { seed: firstSeed = systemRandomSeed(), seeds, minutes, operations, disk, keys } = program.opts<Options>();
const startedMs = performance.now();

process.exitCode = (await (disk === undefined ? runSeeds() : runDisk(disk))) ? 0 : 1;

async function runSeeds(): Promise<boolean> {
  const endMs = minutes === undefined ? Infinity : startedMs + minutes * 60_000;
  const seedsMax = seeds ?? (minutes === undefined ? 100 : Infinity);
  const failed: number[] = [];
  let count = 0;
  for (; count < seedsMax && performance.now() < endMs; count++) {
    const seed = firstSeed + count;
    const seedStartedMs = performance.now();
    const { plan, log, failure, ...shown } = await simulateEngine({ seed, runTurns, operations });
    const line = { ok: failure === undefined, ...shown, virtualMs: Math.round(shown.virtualMs) };
    console.log(JSON.stringify({ ...line, seconds: secondsSince(seedStartedMs) }));
    if (failure === undefined) continue;
    failed.push(seed);
    console.log(`seed ${seed} failed: ${failure}`);
    console.log(`its plan: ${JSON.stringify(plan)}`);
    if (seeds === 1) console.log(log);
    else console.log(`replay: npm run sim:engine -- --seeds 1 --seed ${seed} --operations ${operations}`);
  }
  console.log(JSON.stringify({ seeds: count, failed, seconds: secondsSince(startedMs) }));
  return failed.length === 0;
}

async function runDisk(directory: string): Promise<boolean> {
  const mib = 1024 * 1024;
  // Small next to the data, so that most of it is read from tables.
  const budgets = {
    blockCacheBytesMax: 16 * mib,
    rowCacheBytesMax: 4 * mib,
    memtablesBytesMax: 64 * mib,
    backgroundThreads: 1,
  };
  const shape = { memtableBytesMax: 4 * mib, levelBytesBase: 8 * mib, sstableBytesTarget: 2 * mib };
  try {
    const result = await runOnDisk({
      seed: firstSeed,
      minutes: minutes ?? 1,
      keys,
      budgets,
      open: (random) =>
        openTree(directory, { ...budgets, ...shape, blockBytes: random.pick([2, 8, 32]) * 1024, openTablesMax: 100 }),
      nowMs: () => performance.now(),
      residentBytes: () => process.memoryUsage.rss(),
    });
    console.log(JSON.stringify({ seed: firstSeed, ok: true, ...result, seconds: secondsSince(startedMs) }));
    return true;
  } catch (error) {
    console.log(JSON.stringify({ seed: firstSeed, ok: false, seconds: secondsSince(startedMs) }));
    console.log(error);
    return false;
  }
}

function secondsSince(ms: number): number {
  return Math.round((performance.now() - ms) / 100) / 10;
}
