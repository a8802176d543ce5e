/** `npm run sim`: simulated clusters under faults, one for each seed. Exit status 0 when none failed, 1 otherwise, 64 for wrong usage. */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { inspect } from 'node:util';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { systemRandomSeed } from '../platform/random.js';
import type { SimRunResult } from '../sim/run.js';
import { Summary } from '../sim/summary.js';
import { WorkerPool } from '../platform/worker-pool.js';
import type { SimJobInput } from './sim-worker.js';

interface Options {
  readonly seeds: number;
  readonly seed: number | undefined;
  readonly minutes: number;
  readonly jobs: number;
  readonly each: boolean;
}

const minutesMax = 24 * 60;
/** As sysexits.h has it: not that a seed failed. */
const wrongUsage = 64;

function minutesOf(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= minutesMax)) {
    throw new InvalidArgumentError(`expected a number above 0, at most ${minutesMax}.`);
  }
  return value;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number above 0.');
  return value;
}

const program = new Command('sim')
  .description('Runs simulated clusters under faults and checks what their clients saw.')
  .option('--seeds <n>', 'how many seeds to run', whole, 10)
  .option('--seed <s>', 'the first seed; the others follow it (default: random)', whole)
  .addOption(
    new Option('--minutes <m>', 'simulated minutes under faults for each seed')
      .argParser(minutesOf)
      .default(1 / 3, 'a third of one'),
  )
  .option('--jobs <n>', 'seeds that run at a time, each in a thread', whole, availableParallelism())
  .option('--each', 'print a line of JSON for each seed', false)
  .exitOverride();

parse();
const { seeds, seed: firstSeed = systemRandomSeed(), minutes, jobs, each } = program.opts<Options>();

const startedMs = performance.now();
const startedCpu = process.cpuUsage();
const summary = new Summary();
/** In the order of the seeds: which thread is ready first is nothing that happened in the runs. */
const traces: string[] = [];
{
  await using pool = new WorkerPool({
    entry: new URL('./sim-worker.js', import.meta.url),
    size: jobs,
    // Of a run little stays, and much is made.
    youngGenerationMiB: 192,
  });
  let next = 0;
  const runNext = async (): Promise<void> => {
    while (next < seeds) {
      const number = next++;
      traces[number] = await runSeed(pool, firstSeed + number);
    }
  };
  await Promise.all(Array.from({ length: jobs }, runNext));
}
conclude();

function parse(): void {
  try {
    program.parse();
    const { seeds: count, seed: first = 1 } = program.opts<Options>();
    if (!Number.isSafeInteger(first + count)) program.error(`error: seed ${first} has no ${count - 1} after it`);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has written the message.
    process.exit(error.exitCode === 0 ? 0 : wrongUsage);
  }
}

/** The hash of its trace. */
async function runSeed(pool: WorkerPool, seed: number): Promise<string> {
  const seedStartedMs = performance.now();
  try {
    const input: SimJobInput = { seed, faultMs: minutes * 60_000 };
    const result = await pool.run<SimJobInput, SimRunResult>({ type: 'simulate', input });
    summary.add(result);
    if (each) show(result, performance.now() - seedStartedMs);
    if (result.failure !== undefined) explain(result);
    return result.traceHash;
  } catch (error) {
    // Not the run has failed, but the thread: an error outside of all promises, or no memory.
    summary.broken(seed);
    console.log(`seed ${seed} ended its thread: ${inspect(error)}`);
    return '';
  }
}

function conclude(): void {
  const { virtualMs, ...sums } = summary;
  const { neverMet, isGood } = summary;
  if (sums.failed.length === 0 && !isGood) console.log(`never met in ${seeds} seeds: ${neverMet.join(', ')}`);
  const { user, system } = process.cpuUsage(startedCpu);
  const cpuSeconds = (user + system) / 1e6;
  const line = {
    ...sums,
    // Of a few seeds this says nothing, and they are not judged by it.
    neverMet,
    virtualMinutes: round(virtualMs / 60_000),
    virtualHours: round(virtualMs / 3_600_000),
    // Over the traces of all seeds: equal for equal seeds, minutes and code.
    traceHash: createHash('sha256').update(traces.join()).digest('hex').slice(0, 16),
    jobs,
    seconds: round((performance.now() - startedMs) / 1000),
    cpuSeconds: round(cpuSeconds),
    virtualSecondsPerCpuSecond: round(virtualMs / 1000 / cpuSeconds),
  };
  console.log(JSON.stringify(line));
  process.exitCode = isGood ? 0 : 1;
}

function show(result: SimRunResult, tookMs: number): void {
  const { seed, failure, traceHash, virtualMs, events, operations, faults, coverage } = result;
  const line = { seed, ok: failure === undefined, traceHash, virtualMs: Math.round(virtualMs), events, operations };
  const met = { faults: happened(faults), coverage: happened(coverage) };
  console.log(JSON.stringify({ ...line, ...met, seconds: round(tookMs / 1000) }));
}

function happened(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

/** What the seed has drawn is shown to be read; seed, minutes and commit are enough to replay. */
function explain(result: SimRunResult): void {
  console.log(`seed ${result.seed} failed: ${result.failure}`);
  console.log(`its plan: ${JSON.stringify(result.plan)}`);
  if (seeds === 1) console.log(result.log);
  else console.log(`replay with the nodes' log: npm run sim -- --seeds 1 --seed ${result.seed} --minutes ${minutes}`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
